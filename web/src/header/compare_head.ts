// The two sides of a comparison: ranges, filters, totals, and how they are compared.

import { FilterChips, filterWords } from "./chips";
import { bounds, type Context } from "../state/context";
import { button, h, Select } from "../ui/dom";
import type { Filter } from "../state/filters";
import { dateTime, quantity, zoneName } from "../ui/format";
import { closePopover, opener, popover } from "../ui/popover";
import { rangeForm } from "./range_form";
import { iso, moment } from "../state/ranges";
import type { Comparison } from "../../generated/types";

interface Range {
  from: number;
  to: number;
}

const SHIFTS: [string, string][] = [
  ["", "the range before"],
  ["same", "the same range"],
  ["-1d", "a day earlier"],
  ["-7d", "a week earlier"],
];
const OWN = "own";

const MOVED = new Map([
  ["-1d", 86_400e6],
  ["-7d", 7 * 86_400e6],
]);

/** Whether the address of a baseline names a moment or a way to move the range. */
export function namesBaseline(text: string): boolean {
  return ["", "same"].includes(text) || MOVED.has(text) || moment(text) !== null;
}

/**
 * The baseline's moments, in microseconds. A box on the heatmap narrows the shown side; the baseline
 * keeps its own range, unless that is "the same".
 */
export function baselineRange(context: Context): Range {
  const { "base.from": start, "base.to": end } = context.store.state;
  if (start === "same") return bounds(context, "box");
  const { from, to } = context.range;
  const shift = start === "" ? to - from : MOVED.get(start);
  if (shift !== undefined) return { from: from - shift, to: to - shift };
  return { from: moment(start) ?? from, to: moment(end) ?? to };
}

export function baselineFilters(context: Context): Filter[] {
  const { baseFilters, filters } = context.store.state;
  return baseFilters ?? filters;
}

/** A side's filters and times as text. The filters come first, for a narrow place. */
export function sideWords(context: Context, range: Range, filters: Filter[]): string {
  const words = filters.map((filter) => filterWords(context, filter));
  return [...words, rangeWords(context, range)].join(", ");
}

function rangeWords(context: Context, { from, to }: Range): string {
  const { zone } = context.store.state;
  const [start, end] = [dateTime(from, zone), dateTime(to, zone)];
  const sameDay = start.slice(0, 10) === end.slice(0, 10);
  return `${start} – ${sameDay ? end.slice(11) : end} ${zoneName(zone)}`;
}

export class CompareHead {
  readonly element: HTMLElement;
  private readonly chips: FilterChips;
  private readonly range: Select;
  private readonly titles = [h("strong"), h("strong")] as const;
  private readonly times = [h("span.number"), h("span.number")] as const;
  private readonly amounts = [h("span.number"), h("span.number")] as const;
  private readonly swap: HTMLButtonElement;
  private readonly relative: HTMLButtonElement;

  constructor(private readonly context: Context) {
    const { store } = context;
    this.chips = new FilterChips(context, "Filters of the baseline", {
      filters: () => baselineFilters(context),
      change: (baseFilters) => store.set({ baseFilters }),
    });
    this.range = new Select("Baseline", (from) => this.move(from));
    const type = opener("times …", "dialog", (button) => this.openRange(button), {
      title: "Type the baseline's times",
    });
    this.swap = button("⇄ swap", () => store.set({ swap: !store.state.swap }));
    this.relative = button("relative", () => store.set({ relative: !store.state.relative }), {
      title: "Compare shares of the whole rather than amounts",
    });
    const hint = "or drag on the timeline with Shift";
    this.element = h(
      "div.sides",
      h(
        "div.side.baseline",
        this.titles[0],
        this.range.element,
        type,
        h("span.hint", hint),
        this.times[0],
        this.chips.element,
        this.amounts[0],
      ),
      h("div.side", this.titles[1], this.times[1], this.amounts[1], this.swap, this.relative),
    );
  }

  update(answer: Comparison | null): void {
    const { "base.from": from, relative, swap } = this.context.store.state;
    const own = !SHIFTS.some(([key]) => key === from);
    const options: [string, string][] = own ? [...SHIFTS, [OWN, "its own range"]] : SHIFTS;
    this.range.update(options, own ? OWN : from);
    this.titles[0].textContent = swap ? "After" : "Before";
    this.titles[1].textContent = swap ? "Before" : "After";
    const { context } = this;
    const { filters } = context.store.state;
    this.times[0].textContent = rangeWords(context, baselineRange(context));
    const shown = sideWords(context, bounds(context, "box"), filters);
    this.times[1].textContent = `as shown, ${shown}`;
    const amount = (total: number) => (answer ? quantity(total, answer.unit) : "");
    this.amounts[0].textContent = amount(answer?.base_total ?? 0);
    this.amounts[1].textContent = amount(answer?.total ?? 0);
    this.swap.setAttribute("aria-pressed", String(swap));
    this.relative.setAttribute("aria-pressed", String(relative));
    this.chips.update();
  }

  private move(from: string): void {
    if (from !== OWN) this.context.store.set({ "base.from": from, "base.to": "" });
  }

  private openRange(button: HTMLElement): void {
    const { store } = this.context;
    const { from, to } = baselineRange(this.context);
    const shown = { text: { from: iso(from), to: iso(to) }, from, to };
    const form = rangeForm(shown, store.state.zone, (range) => {
      closePopover();
      store.set({ "base.from": range.from, "base.to": range.to });
    });
    popover(button, "dialog", "Times of the baseline", form);
  }
}
