// The bar on top: which data, which filters, which time.

import type { Context } from "../state/context";
import type { Filter } from "../state/filters";
import { h } from "../ui/dom";
import { icon, type Icon } from "../ui/icons";
import { menu, opener } from "../ui/popover";
import { cycleTheme, themeText } from "../ui/theme";
import { Field, type Searching } from "./field";
import { showKeys } from "./keys";
import { PresetChips } from "./presets";
import { RangeMenu } from "./range_menu";
import { goTo, TypeMenu } from "./types";

export class Header {
  readonly element: HTMLElement;
  readonly field: Field;
  readonly presets: PresetChips;
  private readonly types: TypeMenu;
  private readonly range: RangeMenu;

  constructor(
    private readonly context: Context,
    searching: Searching,
  ) {
    this.types = new TypeMenu(context);
    const { store } = context;
    const source = {
      label: "Filter or search frames",
      filters: () => store.state.filters,
      change: (filters: Filter[]) => store.set({ filters, zoom: [] }),
    };
    this.field = new Field(context, source, searching);
    this.presets = new PresetChips(context);
    this.field.place(this.presets.element);
    this.range = new RangeMenu(context);
    this.element = h(
      "header.bar",
      this.brand(),
      this.types.element,
      this.field.element,
      this.range.range,
      this.range.live,
      iconOpener("link", "Share", (button) => {
        void import("./share").then(({ share }) => share(context, button));
      }),
      iconOpener("more", "More", (button) => this.openMore(button)),
    );
  }

  update(): void {
    this.types.update();
    this.range.update();
    this.field.update();
    this.presets.update();
  }

  private brand(): HTMLElement {
    const home = (event: MouseEvent) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      goTo(this.context, "");
    };
    const logo = h("span.logo", { "aria-hidden": "true" }, h("i"), h("i"), h("i"));
    const attributes = { href: "./", "aria-label": "Kernelscope, home", onclick: home };
    return h("a.brand", attributes, logo, h("span", "Kernelscope"));
  }

  private openMore(button: HTMLElement): void {
    const items = [
      { text: "Refresh now", run: () => this.context.refresh() },
      { text: themeText(), run: cycleTheme },
      { text: "Keys", run: showKeys },
      { text: "New category …", run: () => location.assign("new") },
      { text: "Print", run: () => window.print() },
    ];
    menu(button, items, "More");
  }
}

function iconOpener(
  name: Icon,
  label: string,
  open: (opener: HTMLElement) => void,
): HTMLButtonElement {
  const made = opener("", "menu", open, { "aria-label": label, title: label, class: "only-icon" });
  made.append(icon(name));
  return made;
}
