// Home: all data types, before one is chosen.

import type { Context } from "../state/context";
import { h, replace } from "../ui/dom";

export class Home {
  readonly element = h("div.home");

  constructor(private readonly context: Context) {}

  update(): void {
    const { categories, store } = this.context;
    const links = categories.map((one) => {
      const go = (event: Event) => {
        event.preventDefault();
        store.set({ table: one.table });
      };
      return h("li", h("a", { href: `/?table=${one.table}`, onclick: go }, one.prettyname));
    });
    replace(this.element, h("h1", "Data types"), h("ul", ...links));
  }
}
