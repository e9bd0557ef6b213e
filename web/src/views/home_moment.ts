// How Home speaks of times: "in the last hour", "10:18–10:24", "since 10:31".

import type { State } from "../state/address";
import { span, clock, zoned } from "../ui/spans";
import type { Zone } from "../ui/format";
import type { Overview } from "../../generated/types";

const UNITS: Record<string, string> = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };

/** The range inside a sentence. */
export function inRange({ from, to, zone }: State, range: { from: number; to: number }): string {
  const back = /^now-(\d+)([smhdw])$/.exec(from);
  if (to !== "now" || !back) {
    return `between ${clock(range.from, zone)} and ${zoned(clock(range.to, zone), zone)}`;
  }
  const count = Number(back[1]);
  const unit = UNITS[back[2] ?? ""] ?? "";
  return count === 1 ? `in the last ${unit}` : `in the last ${count} ${unit}s`;
}

/** When the newest row's step begins: what lasts until then is not over. */
export function newest({ tables, step, to }: Overview): number {
  const last = Math.max(...tables.map(({ last }) => Math.min(last ?? 0, to)));
  return last - (last % step);
}

/** A stretch that is not over at the end of the range has no end. */
export function stretch(from: number, to: number, end: number, zone: Zone): string {
  return to >= end ? `since ${clock(from, zone)}` : span(from, to, zone);
}
