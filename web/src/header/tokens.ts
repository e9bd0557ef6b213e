// The filters of a field, each as it is typed: `process=mysqld ×`.

import { applies, column, type Context } from "../state/context";
import { filterText, type Filter } from "../state/filters";
import { written } from "../state/typed";
import { button, h, replace } from "../ui/dom";
import { icon } from "../ui/icons";
import { plain, short } from "../ui/text";
import { filterWords } from "./words";

/** More than a person reads; the address has all of them. */
const MOST = 50;

export class Tokens {
  readonly element = h("div.chips", { role: "group", "aria-label": "Filters" });
  private drawn = "";

  constructor(
    private readonly context: Context,
    private readonly edit: (filter: Filter) => void,
    private readonly remove: (filter: Filter) => void,
  ) {}

  /** `edited` is the one that is in the input. */
  update(filters: Filter[], edited: Filter | null): void {
    const { context } = this;
    const wanted = JSON.stringify([
      filters.map((one) => [filterText(one), filterWords(context, one), applies(context, one)]),
      edited,
    ]);
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    const more = filters.length - MOST;
    const rest = more > 0 ? h("span.hint", `and ${more} more`) : null;
    replace(
      this.element,
      ...filters
        .slice(0, MOST)
        .map((one) => this.token(one, !!edited && filterText(one) === filterText(edited))),
      rest,
    );
  }

  private token(filter: Filter, edited: boolean): HTMLElement {
    const { context } = this;
    const known = column(context, filter.column) ?? this.anywhere(filter.column);
    const words = filterWords(context, filter);
    const fits = applies(context, filter);
    const { name, sign, value } = written(filter, known);
    const title = fits ? words : `${words}: does not apply here, as this type has no such column`;
    const change = button("", () => this.edit(filter), { title });
    change.append(short(plain(name), 80), h("i", short(plain(sign), 80)), short(plain(value), 200));
    const away = button("", () => this.remove(filter), { "aria-label": `Remove filter: ${words}` });
    away.className = "x";
    away.append(icon("close"));
    const kinds = `${fits ? "" : " off"}${edited ? " edited" : ""}`;
    return h("span", { class: `chip${kinds}` }, change, away);
  }

  /** A filter that does not apply is typed as where it does. */
  private anywhere(name: string) {
    return this.context.categories
      .flatMap(({ columns }) => columns)
      .find((one) => one.name === name);
  }
}
