// The menu of data types: each with its amount now, its course, and a mark where it is unusual.

import { get } from "../api/client";
import { category, queryOf, type Context } from "../state/context";
import { NO_FRAMES, timeAlone } from "../state/address";
import { iso } from "../state/ranges";
import { button, h, replace } from "../ui/dom";
import { icon, sparkline } from "../ui/icons";
import { closePopover, menuKeys, popover } from "../ui/popover";
import type { CategoryAnswer, Overview, TableOverview } from "../../generated/types";

const POINTS = "24";

export class TypeMenu {
  readonly element: HTMLButtonElement;
  private items: Item[] = [];

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
    const { categories, store } = this.context;
    // A category may have been added since the page was opened.
    this.context.recheck();
    const shown = store.state.table;
    this.items = categories.map(
      (one) => new Item(one, shown === one.table, () => this.go(one.table)),
    );
    const home = button("All data types", () => this.go(""), {
      role: "menuitemradio",
      "aria-checked": String(!shown),
    });
    home.append(h("kbd", "g"));
    home.classList.add("home-item");
    const title = h("p.title", "Data types; range, host and process stay");
    const lines = this.items.map(({ element }) => element);
    const element = popover(this.element, "menu", "Data types", title, home, h("hr"), ...lines);
    element.classList.add("types");
    menuKeys(element, [home, ...lines]);
    const current = this.items.find((one) => one.current)?.element ?? home;
    current.focus();
    void this.fill();
  }

  /** The list is there at once; the amounts follow. */
  private async fill(): Promise<void> {
    const { items } = this;
    const { from, to } = this.context.range;
    const { filters } = this.context.store.state;
    const query = [
      ["from", iso(from)],
      ["to", iso(to)],
      ["points", POINTS],
    ] as [string, string][];
    query.push(...queryOf(filters));
    const answer = await get<Overview>("/api/v1/overview", query).catch(() => null);
    if (!answer) return;
    for (const one of items) one.fill(answer.tables.find(({ table }) => table === one.table));
  }

  /** Range, times, filters and presets stay; a filter that the other type does not have is inactive. */
  private go(table: string): void {
    closePopover();
    goTo(this.context, table);
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

class Item {
  readonly element: HTMLButtonElement;
  readonly table: string;
  private readonly mark = h("span.mark");
  private readonly amount = h("span.number");
  private readonly course = h("span.course");

  constructor(
    one: CategoryAnswer,
    readonly current: boolean,
    go: () => void,
  ) {
    this.table = one.table;
    const attributes = { role: "menuitemradio", "aria-checked": String(current) };
    this.element = button("", go, { ...attributes, title: one.description });
    this.element.append(h("b", one.prettyname), this.mark, this.amount, this.course);
  }

  fill(of: TableOverview | undefined): void {
    this.element.classList.toggle("quiet", !of?.rows);
    this.amount.textContent = of?.rows ? of.now_text : "no rows in this range";
    if (!of?.rows) return;
    replace(this.course, sparkline(of.values));
    this.course.classList.toggle("unusual", of.unusual.length > 0);
    if (!of.unusual.length) return;
    const said = of.unusual[0]?.text || "unusual";
    replace(this.mark, icon("unusual"), h("span.unseen", said));
    this.mark.title = said;
  }
}
