// The row of tabs: one is reached by Tab, arrows go to the others.

import { button, h } from "./dom";
import { icon, type Icon } from "./icons";

export class Tabs<V extends string> {
  readonly element = h("div.tabs", { role: "tablist", "aria-label": "Views" });
  private readonly buttons: [V, HTMLButtonElement][];

  constructor(
    tabs: [V, string, Icon?][],
    private readonly choose: (view: V) => void,
  ) {
    this.buttons = tabs.map(([view, text, sign]) => {
      const made = button(text, () => choose(view), { role: "tab", "aria-controls": "view" });
      if (sign) made.prepend(icon(sign));
      return [view, made];
    });
    this.element.append(...this.buttons.map(([, element]) => element));
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  update(views: V[], current: V): void {
    for (const [view, element] of this.buttons) {
      element.hidden = !views.includes(view);
      element.setAttribute("aria-selected", String(view === current));
      element.tabIndex = view === current ? 0 : -1;
    }
  }

  private key(event: KeyboardEvent): void {
    const shown = this.buttons.filter(([, element]) => !element.hidden);
    const at = shown.findIndex(([, element]) => element === document.activeElement);
    const to: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: -1,
    };
    const next = to[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    const [view, element] = shown[(next + shown.length) % shown.length];
    element.focus();
    this.choose(view);
  }
}
