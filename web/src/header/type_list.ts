// The menu of data types: each with its amount now, its course, and a mark where it is unusual.

import { get } from "../api/client";
import { queryOf, type Context } from "../state/context";
import { iso } from "../state/ranges";
import { button, h, replace } from "../ui/dom";
import { icon, sparkline } from "../ui/icons";
import { closePopover, menuKeys, popover } from "../ui/popover";
import type { CategoryAnswer, Overview, TableOverview } from "../../generated/types";

const POINTS = "24";

/** Opens it under its button; `chosen` is called with the table, "" for Home. */
export function open(context: Context, opener: HTMLElement, chosen: (table: string) => void): void {
  const { categories, store } = context;
  // A category may have been added since the page was opened.
  context.recheck();
  const shown = store.state.table;
  const go = (table: string) => {
    closePopover();
    chosen(table);
  };
  const items = categories.map((one) => new Item(one, shown === one.table, () => go(one.table)));
  const home = button("All data types", () => go(""), {
    role: "menuitemradio",
    "aria-checked": String(!shown),
  });
  home.append(h("kbd", "g"));
  home.classList.add("home-item");
  const title = h("p.title", "Data types; range, host and process stay");
  const lines = items.map(({ element }) => element);
  const element = popover(opener, "menu", "Data types", title, home, h("hr"), ...lines);
  element.classList.add("types");
  menuKeys(element, [home, ...lines]);
  const current = items.find((one) => one.current)?.element ?? home;
  current.focus();
  void fill(context, items);
}

/** The list is there at once; the amounts follow. */
async function fill(context: Context, items: Item[]): Promise<void> {
  const { from, to } = context.range;
  const { filters } = context.store.state;
  const query = [
    ["from", iso(from)],
    ["to", iso(to)],
    ["points", POINTS],
  ] as [string, string][];
  query.push(...queryOf(filters));
  const answer = await get<Overview>("api/v1/overview", query).catch(() => null);
  if (!answer) return;
  for (const one of items) one.fill(answer.tables.find(({ table }) => table === one.table));
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
