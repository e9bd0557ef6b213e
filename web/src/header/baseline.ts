// The baseline of a comparison: its range and filters, as the address gives them.

import { filterWords } from "./words";
import { bounds, type Context } from "../state/context";
import type { Filter } from "../state/filters";
import { moment, moments } from "../state/ranges";
import { dateTime, zoneName } from "../ui/format";

interface Range {
  from: number;
  to: number;
}

/** Of the range that a box was drawn in: all but the box, or the box's sizes at other times. */
export const REST = "rest";
export const ELSEWHERE = "elsewhere";

const MOVED = new Map([
  ["-1d", 86_400e6],
  ["-7d", 7 * 86_400e6],
]);

/** Whether the address of a baseline names a moment or a way to move the range. */
export function namesBaseline(text: string): boolean {
  return ["", "same", REST, ELSEWHERE].includes(text) || MOVED.has(text) || moment(text) !== null;
}

/**
 * The baseline's moments, in microseconds. A selection narrows the shown side: a baseline that is
 * moved is as long as it, one with moments keeps them.
 */
export function baselineRange(context: Context): Range {
  const { "base.from": start, "base.to": end } = context.store.state;
  if (start === "same") return bounds(context, "box");
  if (start === REST || start === ELSEWHERE) return context.range;
  const { from, to } = bounds(context, "box");
  const shift = start === "" ? to - from : MOVED.get(start);
  if (shift !== undefined) return { from: from - shift, to: to - shift };
  const [first, last] = moments(start, end);
  return { from: first ?? from, to: last ?? to };
}

/** Whether the box is taken out of the baseline, which is of its range. */
export function withoutBox({ store: { state } }: Context): boolean {
  return !!state.box && [REST, ELSEWHERE].includes(state["base.from"]);
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

/** A side's times as text. */
export function rangeWords(context: Context, { from, to }: Range): string {
  const { zone } = context.store.state;
  const [start, end] = [dateTime(from, zone), dateTime(to, zone)];
  const sameDay = start.slice(0, 10) === end.slice(0, 10);
  return `${start} – ${sameDay ? end.slice(11) : end} ${zoneName(zone)}`;
}
