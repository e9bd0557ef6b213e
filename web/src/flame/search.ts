// The search box: a regular expression over frame names.

import type { Context } from "../state/context";
import { button, debounce, h } from "../ui/dom";
import { loadEngine } from "./expression";

/** A search that takes longer waits for a pause in the typing. */
const QUICK = 30;

export class SearchBox {
  readonly element: HTMLElement;
  private readonly input: HTMLInputElement;
  private readonly result = h("output.number.matched", { "aria-live": "polite" });
  private took = 0;
  /** Goes to the next or previous match, in the view that is shown. */
  stepped: (direction: 1 | -1) => void = () => undefined;

  constructor(private readonly context: Context) {
    const later = debounce(60, () => this.apply());
    const search = () => (this.took < QUICK ? this.apply() : later());
    this.input = h("input", {
      type: "search",
      placeholder: "search (regex)",
      "aria-label": "Search frames by regular expression",
      spellcheck: "false",
      autocomplete: "off",
      oninput: () => search(),
      onfocus: () => void loadEngine(),
      onkeydown: (event: KeyboardEvent) => this.key(event),
    });
    this.element = h(
      "div.search",
      this.input,
      this.result,
      button("‹", () => this.step(-1), { "aria-label": "Previous match", title: "Previous (N)" }),
      button("›", () => this.step(1), { "aria-label": "Next match", title: "Next (n)" }),
    );
    document.addEventListener("keydown", (event) => this.shortcut(event));
  }

  update(): void {
    const { search } = this.context.store.state;
    if (this.input.value !== search && document.activeElement !== this.input) {
      this.input.value = search;
    }
  }

  say(text: string, wrong = false): void {
    this.result.textContent = text;
    this.input.setAttribute("aria-invalid", String(wrong));
  }

  /** Searches once the engine for regular expressions is there. */
  async wait(): Promise<void> {
    this.say("…");
    if (await loadEngine()) this.context.store.set({}, "replace");
    else this.say("the server does not answer: search again", true);
  }

  private apply(): void {
    const search = this.input.value;
    if (search === this.context.store.state.search) return;
    const start = performance.now();
    this.context.store.set({ search }, "replace");
    this.took = performance.now() - start;
  }

  /** Who types fast asks for the next match before the pause that starts a search. */
  private step(direction: 1 | -1): void {
    this.apply();
    this.stepped(direction);
  }

  private key(event: KeyboardEvent): void {
    if (event.key === "Enter") {
      event.preventDefault();
      this.step(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      this.input.value = "";
      this.apply();
      this.input.blur();
    }
  }

  /** Ctrl+F and `/` search here, unless a field has the focus. */
  private shortcut(event: KeyboardEvent): void {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as Element).tagName);
    const find = (event.ctrlKey || event.metaKey) && event.key === "f";
    if (!this.element.isConnected || this.element.hidden) return;
    if (find && document.activeElement !== this.input) {
      event.preventDefault();
      this.input.select();
    } else if (!typing && event.key === "/") {
      event.preventDefault();
      this.input.select();
    } else if (!typing && (event.key === "n" || event.key === "N")) {
      this.step(event.key === "n" ? 1 : -1);
    }
  }
}
