// Filters as chips, and the small form behind each.

import { get } from "../api/client";
import type { Values } from "../../generated/types";
import { category, column, question, type Context } from "../state/context";
import { button, debounce, h, replace, Select } from "../ui/dom";
import { quantity } from "../ui/format";
import { filterText, firstOperator, HAS, LACKS, withFilter, type Filter } from "../state/filters";
import { closePopover, opener, popover } from "../ui/popover";
import { plain, short } from "../ui/text";

export interface Filters {
  filters(): Filter[];
  change(filters: Filter[]): void;
}

/** More than a person reads; the address has all of them. */
const MOST_CHIPS = 50;

export class FilterChips {
  readonly element: HTMLElement;
  private drawn = "";

  constructor(
    private readonly context: Context,
    name: string,
    private readonly source: Filters,
  ) {
    this.element = h("div.chips", { role: "group", "aria-label": name });
  }

  update(): void {
    const filters = this.source.filters();
    const words = filters.map((filter) => [filterText(filter), filterWords(this.context, filter)]);
    const wanted = JSON.stringify(words);
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    const open = (button: HTMLElement) => this.open(button, null);
    const add = opener("+ filter", "dialog", open, { class: "add" });
    const more = filters.length - MOST_CHIPS;
    const rest = more > 0 ? h("span.hint", `and ${more} more`) : null;
    const chips = filters.slice(0, MOST_CHIPS).map((filter) => this.chip(filter));
    replace(this.element, ...chips, rest, add);
  }

  private chip(filter: Filter): HTMLElement {
    const text = filterWords(this.context, filter);
    const edit = button(text, () => this.open(edit, filter), { title: filterText(filter) });
    const without = () => this.source.change(this.others(filter));
    const remove = button("×", without, { "aria-label": `Remove filter: ${text}`, class: "x" });
    return h("span.chip", edit, remove);
  }

  private others(filter: Filter | null): Filter[] {
    const text = filter && filterText(filter);
    return this.source.filters().filter((other) => filterText(other) !== text);
  }

  private open(button: HTMLElement, old: Filter | null): void {
    const form = new FilterForm(this.context, old, (filter) => {
      closePopover();
      this.source.change(withFilter(this.others(old), filter));
    });
    popover(button, "dialog", "Filter", form.element);
  }
}

export function filterWords(context: Context, filter: Filter): string {
  const name = column(context, filter.column)?.prettyname ?? short(plain(filter.column), 80);
  const value = short(plain(valueWords(context, filter)), 200);
  return `${name} ${short(plain(operatorWords(context, filter.op)), 80)} ${value}`;
}

/** An operator that the server does not know is shown by its name. */
function operatorWords(context: Context, op: string): string {
  return context.operators.find((one) => one.name === op)?.words ?? op;
}

/** A bare number has its column's unit; a value that names a unit stays unchanged. */
function valueWords(context: Context, { column: name, op, value: whole }: Filter): string {
  const value = short(whole, 2000);
  const known = column(context, name);
  const role = known?.role;
  if (!known || (role !== "value" && role !== "histogram")) return value;
  const many = context.operators.find((one) => one.name === op)?.many ?? false;
  const words = (text: string) =>
    text.trim() === "" || Number.isNaN(Number(text)) ? text : quantity(Number(text), known.unit);
  return many && !value.startsWith("[") ? value.split(",").map(words).join(", ") : words(value);
}

/** Column, operator, value; values are completed from what the rows in range hold. */
class FilterForm {
  readonly element: HTMLFormElement;
  private readonly column = new Select("Column", () => this.restart());
  private readonly operator = new Select("Operator", () => this.complete());
  private readonly values = h("datalist", { id: "filter-values" });
  private readonly input = h("input", {
    "aria-label": "Value",
    list: "filter-values",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => this.complete(),
    autofocus: true,
  });
  private readonly complete = debounce(150, () => void this.fetchValues());
  /** Counts the questions: only the last one's answer is shown. */
  private asked = 0;

  constructor(
    private readonly context: Context,
    old: Filter | null,
    done: (filter: Filter) => void,
  ) {
    const columns = category(context)?.columns ?? [];
    const first = columns.find((one) => one.role === "dimension" && one.name !== "hostname");
    const chosen = old?.column ?? first?.name ?? "hostname";
    const names = columns.map((one): [string, string] => [one.name, one.prettyname]);
    if (!column(context, chosen)) names.push([chosen, chosen]);
    this.column.update(names, chosen);
    this.input.value = old?.value ?? "";
    const submit = (event: Event) => {
      event.preventDefault();
      done({ column: this.column.value, op: this.operator.value, value: this.input.value });
    };
    this.element = h(
      "form.filter",
      { onsubmit: submit },
      this.column.element,
      this.operator.element,
      this.input,
      this.values,
      h("button", { type: "submit", class: "primary" }, old ? "Change" : "Add"),
    );
    this.offerOperators(old?.op);
    this.complete();
  }

  private restart(): void {
    this.input.value = "";
    this.offerOperators();
    this.complete();
  }

  private offerOperators(old?: string): void {
    const one = column(this.context, this.column.value);
    const operators = [...(one?.operators ?? [])];
    const chosen = old || firstOperator(one?.role ?? "", operators);
    // An operator from the address stays until a person chooses another.
    if (!operators.includes(chosen)) operators.push(chosen);
    const words = (op: string) => operatorWords(this.context, op);
    const options = operators.map((op): [string, string] => [op, words(op)]);
    this.operator.update(options, chosen);
    const examples: Record<string, string> = { us: "5ms, 1.5s or µs", bytes: "64KiB or bytes" };
    this.input.placeholder = examples[one?.unit ?? ""] ?? "";
  }

  /** The server offers the frames of stacks, which only two operators compare with. */
  private completes(): boolean {
    const role = column(this.context, this.column.value)?.role;
    if (role === "stack") return [HAS, LACKS].includes(this.operator.value);
    return role === "dimension" || role === "identity";
  }

  private async fetchValues(): Promise<void> {
    const asked = ++this.asked;
    this.values.replaceChildren();
    if (!this.completes()) return;
    const { table } = this.context.store.state;
    const query = question(this.context, "range").filter(([key]) => key === "from" || key === "to");
    query.push(["prefix", this.input.value]);
    try {
      const path = `/api/v1/values/${table}/${this.column.value}`;
      const { values } = await get<Values>(path, query);
      if (asked !== this.asked) return;
      for (const { value } of values) this.values.append(h("option", { value }));
    } catch {
      // Completion is a convenience: without it the value is typed.
    }
  }
}
