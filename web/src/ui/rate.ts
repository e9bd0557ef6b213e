// Sums as people think of them: time per time is so many threads or CPUs.

import { amount, atOnce, quantity, rateWord } from "./format";

/** In seconds. */
const TIMES = new Map([
  ["ns", 1e-9],
  ["us", 1e-6],
  ["ms", 1e-3],
  ["s", 1],
]);

const AT_ONCE = "at once";

/** How the page writes the sums of a value column. */
export interface Measure {
  unit: string;
  /** How time per time is called, as `threads waiting`; "" for a plain sum. */
  rate: string;
  /** The length of the range that was summed. */
  seconds: number;
}

/** If all of it is less at once, its parts are plain times: 5 ms, rather than <0.001 threads. */
const LEAST = 0.01;

/** Time without a name for its rate is so much at once. */
export function measureOf(unit: string, rate: string, seconds: number, total: number): Measure {
  const known = TIMES.has(unit) && seconds > 0;
  const plain = { unit, rate: "", seconds };
  return known && perTime(total, plain) >= LEAST ? { ...plain, rate: rate || AT_ONCE } : plain;
}

export function perTime(value: number, { unit, seconds }: Measure): number {
  return (value * (TIMES.get(unit) ?? 1)) / seconds;
}

/** As short as a unit. */
export function word({ rate }: Measure): string {
  return rate === AT_ONCE ? rate : rateWord(rate);
}

/** The words after it: the threads wait, the CPUs are busy; "" where that is not known. */
export function doing({ rate }: Measure): string {
  return rate === AT_ONCE ? "" : rate.split(" ").slice(1).join(" ");
}

/** The number alone, for a column whose head says the unit; a plain sum has its unit with it. */
export function bare(value: number, measure: Measure): string {
  return measure.rate ? atOnce(perTime(value, measure)) : quantity(value, measure.unit);
}

export function told(value: number, measure: Measure): string {
  const text = bare(value, measure);
  return measure.rate ? `${text} ${word(measure)}` : text;
}

/** The plain sum with all of its digits. */
export function summed(value: number, { unit }: Measure): string {
  return amount(value, unit);
}
