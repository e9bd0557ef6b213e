// Numbers with their units, and times with their zone.

type Steps = [string, number][];

function steps(factors: Record<string, number>): Steps {
  return Object.entries(factors);
}

/** In nanoseconds. */
const DURATIONS = steps({ d: 86_400e9, h: 3600e9, min: 60e9, s: 1e9, ms: 1e6, µs: 1e3, ns: 1 });
const BYTES = steps({ PiB: 2 ** 50, TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, B: 1 });
const HERTZ = steps({ GHz: 1e9, MHz: 1e6, kHz: 1e3, Hz: 1 });
const COUNTS = steps({ T: 1e12, G: 1e9, M: 1e6, k: 1e3 });

/** A unit whose numbers are shown in larger or smaller steps of the same kind. */
interface Scaled {
  steps: Steps;
  /** One of this unit, in the smallest step. */
  one: number;
  symbol: string;
}

const SCALED = new Map<string, Scaled>([
  ["ns", { steps: DURATIONS, one: 1, symbol: "ns" }],
  ["us", { steps: DURATIONS, one: 1e3, symbol: "µs" }],
  ["ms", { steps: DURATIONS, one: 1e6, symbol: "ms" }],
  ["s", { steps: DURATIONS, one: 1e9, symbol: "s" }],
  ["bytes", { steps: BYTES, one: 1, symbol: "B" }],
  ["Hz", { steps: HERTZ, one: 1, symbol: "Hz" }],
]);

function digits(value: number): string {
  const size = Math.abs(value);
  return Number.isInteger(value) && size < 1000 ? String(value) : significant(value);
}

/** Three digits, without zeros at the end that say nothing. */
function significant(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e15) return value.toExponential(2);
  return trimmed(value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2));
}

/** From a minute on people think in two units: 1 h 24 min. Each is so many of the next. */
const LONG: [string, number][] = [
  ["d", 24],
  ["h", 60],
  ["min", 60],
];

function long(ns: number): string {
  const at = LONG.findIndex(([name]) => Math.abs(ns) >= (sizes.get(name) ?? 0));
  const [name = "", parts = 1] = LONG[at] ?? [];
  const smaller = LONG[at + 1]?.[0] ?? "s";
  const small = (sizes.get(name) ?? 1) / parts;
  const all = Math.round(Math.abs(ns) / small);
  // Rounding may reach the next unit: 59 min 59.9 s is an hour.
  if (at > 0 && all >= parts * (LONG[at - 1]?.[1] ?? 1)) return long(Math.sign(ns) * all * small);
  const [whole, rest] = [Math.floor(all / parts), all % parts];
  return `${ns < 0 ? "-" : ""}${whole} ${name}${rest ? ` ${rest} ${smaller}` : ""}`;
}

const sizes = new Map(DURATIONS);
const MINUTE = 60e9;

function scaled(value: number, { steps, one, symbol }: Scaled): string {
  const size = Math.abs(value) * one;
  if (steps === DURATIONS && size >= MINUTE) return long(value * one);
  const step = steps.find(([, factor]) => size >= factor) ?? steps.at(-1);
  if (!value || !step) return `${digits(value)} ${symbol}`;
  const [name, factor] = step;
  // Multiplied or divided once, so that 5 µs stays 5 and is not 4.999.
  const part = factor <= one ? value * (one / factor) : value / (factor / one);
  return `${factor <= one ? digits(part) : significant(part)} ${name}`;
}

function counted(value: number): string {
  const step = COUNTS.find(([, factor]) => Math.abs(value) >= factor);
  return step ? `${significant(value / step[1])} ${step[0]}` : digits(value);
}

/**
 * `unit` as the API names it: one of those that are scaled, "" for a plain count, or any word of the
 * category's.
 */
export function quantity(value: number, unit: string): string {
  const known = SCALED.get(unit);
  if (known) return scaled(value, known);
  if (unit === "%") return `${digits(value)} %`;
  return unit ? `${counted(value)} ${unit}` : counted(value);
}

/** As short as an axis needs it: the unit only if it is a part of the number. */
export function axisText(value: number, unit: string): string {
  return SCALED.has(unit) || unit === "%" ? quantity(value, unit) : counted(value);
}

/** The number that a person reads, and all of its digits if those are more. */
export function amount(value: number, unit: string): string {
  const short = quantity(value, unit);
  const { symbol = "", one = 1 } = SCALED.get(unit) ?? {};
  const long = symbol ? `${exact(value)} ${symbol}` : exact(value);
  const same = Math.abs(value) < 1000 && (one === 1 || short.endsWith(` ${symbol}`));
  return same || short === long ? short : `${short} (${long})`;
}

/** A number that a person chose, without trailing zeros: 30 s, not 30.0 s. */
export function trimmed(text: string): string {
  return text.replace(/\.0+(?= |$)|(\.\d*[1-9])0+(?= |$)/, "$1");
}

export function duration(us: number): string {
  return quantity(us, "us");
}

/** Which part of a second one of a unit of time is. */
const SECONDS: Record<string, number> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1 };
const PERIODS: [number, string][] = [
  [1, "a second"],
  [60, "a minute"],
  [3600, "an hour"],
];

/**
 * A total as people think of it: time per time is how many there were at once, "22.1 threads", and
 * the rest is so much "a second". `us` is how long it took to gather, in microseconds; `rate` is what
 * the column calls its time per time, "threads waiting"; its first word is the short unit.
 */
export function perTime(total: number, us: number, unit: string, rate: string): string {
  const second = us ? total / (us / 1e6) : 0;
  const factor = SECONDS[unit];
  if (factor !== undefined) return `${atOnce(second * factor)} ${rateWord(rate)}`;
  const [length, words] =
    unit || !second
      ? (PERIODS[0] as [number, string])
      : (PERIODS.find(([seconds]) => second * seconds >= 1) ?? (PERIODS[2] as [number, string]));
  return `${quantity(second * length, unit)} ${words}`;
}

/** A part beside the whole that it is of: "173 of 195 threads". */
export function partOf(
  part: number,
  whole: number,
  us: number,
  unit: string,
  rate: string,
): string {
  const time = SECONDS[unit] !== undefined;
  const words = time ? perTime(part, us, unit, rate).replace(/ .*/, "") : quantity(part, unit);
  return `${words} of ${time ? perTime(whole, us, unit, rate) : quantity(whole, unit)}`;
}

/** The short unit of a rate: "threads" of "threads waiting". */
export function rateWord(rate: string): string {
  return rate.split(" ")[0] || "at once";
}

/** How many at once: 22.1, 0.03. */
export function atOnce(value: number): string {
  const size = Math.abs(value);
  if (size && size < 0.001) return "<0.001";
  return size < 1 ? trimmed(value.toPrecision(2)) : counted(value);
}

/** How often more: ×2.4, ×12; less than once too: ×0.4. */
export function times(factor: number): string {
  return `×${factor >= 1e4 ? counted(factor) : trimmed(factor.toPrecision(factor >= 10 ? 3 : 2))}`;
}

/** At most about `most` round values from `low` to `high`: 1, 2 or 5 times a power of ten. */
export function roundSteps(low: number, high: number, most: number, unit: string): number[] {
  const { steps = COUNTS, one = 1 } = SCALED.get(unit) ?? {};
  const size = Math.max(-low, high) * one;
  const base = (steps.find(([, factor]) => size >= factor)?.[1] ?? 1) / one;
  const least = (high - low) / most / base;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = base * power * ([1, 2, 5].find((k) => k * power >= least) ?? 10);
  if (!(step > 0) || !Number.isFinite(step)) return [];
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, k) => (first + k) * step);
}

export function percent(part: number, whole: number): string {
  if (!whole) return "0 %";
  const share = (100 * part) / whole;
  const size = Math.abs(share);
  return `${trimmed(share.toFixed(size !== 0 && size < 0.1 ? 3 : size < 1 ? 2 : 1))} %`;
}

/** All digits, grouped: for tooltips, where the exact number belongs. */
export function exact(value: number): string {
  // The browser's own grouping takes 20 ms to be ready for its first number.
  const [whole, part] = String(Math.round(value * 1000) / 1000).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return part ? `${grouped}.${part}` : grouped;
}

export type Zone = "utc" | "local";

function parts(us: number, zone: Zone): [string, string, number] {
  const date = new Date(us / 1000);
  const shifted = zone === "utc" ? date : new Date(date.getTime() - date.getTimezoneOffset() * 6e4);
  const iso = shifted.toISOString();
  return [iso.slice(0, 10), iso.slice(11, 19), Math.floor(us % 1e6)];
}

export function zoneName(zone: Zone): string {
  if (zone === "utc") return "UTC";
  const minutes = -new Date().getTimezoneOffset();
  const sign = minutes < 0 ? "−" : "+";
  const two = (n: number) => String(Math.floor(Math.abs(n))).padStart(2, "0");
  return `UTC${sign}${two(minutes / 60)}:${two(minutes % 60)}`;
}

export function dateTime(us: number, zone: Zone, fraction = false): string {
  const [day, time, micros] = parts(us, zone);
  return `${day} ${time}${fraction ? `.${String(micros).padStart(6, "0")}` : ""}`;
}

export function ago(us: number): string {
  return `${quantity(Math.max(0, Date.now() * 1000 - us), "us")} ago`;
}
