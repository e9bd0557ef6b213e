// The button of the data type, and the way to another one.

import { category, type Context } from "../state/context";
import { NO_FRAMES, timeAlone } from "../state/address";
import { button } from "../ui/dom";

export class TypeMenu {
  readonly element: HTMLButtonElement;

  constructor(private readonly context: Context) {
    const attributes = { class: "type caret", "aria-haspopup": "menu", "aria-expanded": "false" };
    this.element = button("", () => this.open(), attributes);
  }

  update(): void {
    const text = category(this.context)?.prettyname ?? "All data types";
    if (this.element.textContent === text) return;
    this.element.textContent = text;
    this.element.setAttribute("aria-label", `Data type: ${text}`);
  }

  private open(): void {
    const go = (table: string) => goTo(this.context, table);
    void import("./type_list").then((list) => list.open(this.context, this.element, go));
  }
}

/** Shows another data type, or Home, of the same time and with the same filters. */
export function goTo({ store }: Context, table: string): void {
  store.set({
    table,
    box: timeAlone(store.state.box),
    ...NO_FRAMES,
    stack: "",
    value: "",
    by: "",
    group: "",
  });
}
