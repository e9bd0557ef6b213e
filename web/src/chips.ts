// Filters as chips, and the small form behind each.

import { get } from "./api";
import { category, column, question, type Context } from "./context";
import { button, debounce, h, replace, select } from "./dom";
import { quantity } from "./format";
import { filterText, OPERATORS, operatorsFor, withFilter, type Filter } from "./filters";
import { closePopover, popoverUnder } from "./popover";

export interface Filters {
  filters(): Filter[];
  change(filters: Filter[]): void;
}

export class FilterChips {
  readonly element: HTMLElement;
  private drawn = "";

  constructor(
    private readonly context: Context,
    name: string,
    private readonly source: Filters,
  ) {
    this.element = h("div", { class: "chips", role: "group", "aria-label": name });
  }

  update(): void {
    const filters = this.source.filters();
    const words = filters.map((filter) => [filterText(filter), filterWords(this.context, filter)]);
    const wanted = JSON.stringify(words);
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    const add = button("+ filter", () => this.open(add, null), {
      class: "add",
      "aria-haspopup": "dialog",
      "aria-expanded": "false",
    });
    replace(this.element, ...filters.map((filter) => this.chip(filter)), add);
  }

  private chip(filter: Filter): HTMLElement {
    const text = filterWords(this.context, filter);
    const edit = button(text, () => this.open(edit, filter), { title: filterText(filter) });
    const without = () => this.source.change(this.others(filter));
    const remove = button("×", without, { "aria-label": `Remove filter: ${text}`, class: "x" });
    return h("span", { class: "chip" }, edit, remove);
  }

  private others(filter: Filter | null): Filter[] {
    return this.source.filters().filter((other) => other !== filter);
  }

  private open(opener: HTMLElement, old: Filter | null): void {
    const form = new FilterForm(this.context, old, (filter) => {
      closePopover();
      this.source.change(withFilter(this.others(old), filter));
    });
    popoverUnder(opener, [form.element], { role: "dialog", label: "Filter" });
  }
}

export function filterWords(context: Context, filter: Filter): string {
  const name = column(context, filter.column)?.prettyname ?? filter.column;
  return `${name} ${OPERATORS[filter.op] ?? filter.op} ${valueWords(context, filter)}`;
}

/** A bare number has its column's unit; what already says one stays as it is. */
function valueWords(context: Context, { column: name, value }: Filter): string {
  const known = column(context, name);
  if (known?.role !== "value" || value === "" || Number.isNaN(Number(value))) return value;
  return quantity(Number(value), known.unit);
}

/** Column, operator, value; values are completed from what the rows in range hold. */
class FilterForm {
  readonly element: HTMLFormElement;
  private readonly operators = h("span");
  private readonly values = h("datalist", { id: "filter-values" });
  private readonly input: HTMLInputElement;
  private readonly complete = debounce(150, () => void this.fetchValues());
  private column: string;
  private op: string;
  /** Counts the questions: only the last one's answer is shown. */
  private asked = 0;

  constructor(
    private readonly context: Context,
    old: Filter | null,
    private readonly done: (filter: Filter) => void,
  ) {
    const columns = category(context)?.columns ?? [];
    const first = columns.find((one) => one.role === "dimension" && one.name !== "hostname");
    this.column = old?.column ?? first?.name ?? "hostname";
    this.op = old?.op ?? "";
    this.input = h("input", {
      "aria-label": "Value",
      list: "filter-values",
      value: old?.value ?? "",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.complete(),
      autofocus: true,
    });
    const names = columns.map((one): [string, string] => [one.name, one.prettyname]);
    const pick = select("Column", names, this.column, (name) => {
      this.column = name;
      this.op = "";
      this.input.value = "";
      this.updateOperators();
      this.complete();
    });
    const submit = h("button", { type: "submit", class: "primary" }, old ? "Change" : "Add");
    this.element = h("form", { class: "filter" }, pick, this.operators, this.input, this.values);
    this.element.append(submit);
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.done({ column: this.column, op: this.op, value: this.input.value });
    });
    this.updateOperators();
    this.complete();
  }

  private updateOperators(): void {
    const one = column(this.context, this.column);
    const operators = operatorsFor(one?.role ?? "dimension", one?.type ?? "");
    if (!operators.includes(this.op)) this.op = operators[0] ?? "eq";
    const options = operators.map((op): [string, string] => [op, OPERATORS[op] ?? op]);
    replace(
      this.operators,
      select("Operator", options, this.op, (op) => (this.op = op)),
    );
    const examples: Record<string, string> = { us: "5ms, 1.5s or µs", bytes: "64KiB or bytes" };
    this.input.placeholder = examples[one?.unit ?? ""] ?? "";
  }

  private async fetchValues(): Promise<void> {
    const asked = ++this.asked;
    const role = column(this.context, this.column)?.role;
    this.values.replaceChildren();
    if (role !== "dimension" && role !== "identity") return;
    const { table } = this.context.store.state;
    const query = question(this.context, "range").filter(([key]) => key === "from" || key === "to");
    query.push(["prefix", this.input.value]);
    try {
      const path = `/api/v1/values/${table}/${this.column}`;
      const answer = await get<{ values: unknown[] }>(path, query);
      if (asked !== this.asked) return;
      for (const value of answer.values) {
        const text =
          typeof value === "object" && value ? (value as { value: unknown }).value : value;
        this.values.append(h("option", { value: String(text) }));
      }
    } catch {
      // Completion is a convenience: without it the value is typed.
    }
  }
}
