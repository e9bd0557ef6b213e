// Sums as people think of them: how many threads wait at once, how many events come in a second.

import { atOnce, quantity, rateWord, times } from "./format";

/** How long one of a unit is, in microseconds. */
const TIME = new Map([
  ["ns", 1e-3],
  ["us", 1],
  ["ms", 1e3],
  ["s", 1e6],
]);

type Per = [us: number, words: string, short: string];

const HOURLY: Per = [3600e6, "an hour", "/h"];
const PER: Per[] = [[1e6, "a second", "/s"], [60e6, "a minute", "/min"], HOURLY];

export interface Rate {
  /** The rate of a sum over a time in microseconds; the value itself where values do not add up. */
  of(sum: number, us: number): number;
  /** The unit of its number, as the API names units; empty for a plain number. */
  unit: string;
  text(value: number): string;
  /** The words after the number: "threads waiting", "waits a second". */
  words: string;
  /** The same for an axis: "threads", "/s". */
  short: string;
}

/**
 * The rate of a value that adds up. `called` is the name that the category gives to time per time.
 * `most` is the highest sum a second: if events are rarer than one a second, the rate is per minute
 * or per hour.
 */
export function rateOf(unit: string, called = "", most = 1): Rate {
  const time = TIME.get(unit);
  const [length, per, short] = PER.find(([us]) => most * (us / 1e6) >= 1) ?? HOURLY;
  const factor = time ?? length;
  const of = (sum: number, us: number) => (us > 0 ? (sum / us) * factor : 0);
  if (time !== undefined) {
    const words = called || "at once";
    return { of, unit: "", text: atOnce, words, short: called && rateWord(called) };
  }
  if (unit === "bytes") return { of, unit, text: textIn(unit), words: per, short };
  return { of, unit: "", text: textIn(""), words: [unit, per].filter(Boolean).join(" "), short };
}

/** Of what does not add up, a mean say, nothing is a rate. */
export function asItIs(unit: string): Rate {
  return { of: (value) => value, unit, text: textIn(unit), words: "", short: "" };
}

function textIn(unit: string): (value: number) => string {
  return (value) => quantity(value, unit);
}

/** How a value differs from the usual: "×2.4", "usual" where that is less than a third. */
export function factorText(value: number, usual: number): string {
  if (!(usual > 0)) return value > 0 ? "new" : "";
  const factor = value / usual;
  return factor > 0.75 && factor < 1.34 ? "usual" : times(factor);
}
