// Numbers with their units, and times with their zone.

const DURATIONS: [number, string][] = [
  [86_400e6, "d"],
  [3600e6, "h"],
  [60e6, "min"],
  [1e6, "s"],
  [1e3, "ms"],
  [1, "µs"],
];
const BYTES: [number, string][] = [
  [2 ** 50, "PiB"],
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];
const COUNTS: [number, string][] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

function digits(value: number): string {
  const size = Math.abs(value);
  return Number.isInteger(value) && size < 1000 ? String(value) : significant(value);
}

/** Three digits, so that a column of numbers is even. */
function significant(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function scaled(value: number, scale: [number, string][], rest: string): string {
  const size = Math.abs(value);
  const step = scale.find(([factor]) => size >= factor);
  if (!step) return rest ? `${digits(value)} ${rest}` : digits(value);
  const part = value / step[0];
  return `${step[0] === 1 ? digits(part) : significant(part)} ${step[1]}`;
}

/** `unit` as the API names it: "us", "bytes", "" for a plain count, or a word of the category's. */
export function quantity(value: number, unit: string): string {
  if (unit === "us") {
    return value !== 0 && Math.abs(value) < 1
      ? `${digits(value * 1000)} ns`
      : scaled(value, DURATIONS, "µs");
  }
  if (unit === "bytes") return scaled(value, BYTES, "B");
  const text = scaled(value, COUNTS, "");
  return unit ? `${text} ${unit}` : text;
}

/** A length that somebody chose: 30 s, not 30.0 s. */
export function duration(us: number): string {
  return quantity(us, "us").replace(/\.0+(?= )|(\.\d*[1-9])0+(?= )/, "$1");
}

export function percent(part: number, whole: number): string {
  if (!whole) return "0 %";
  const share = (100 * part) / whole;
  const size = Math.abs(share);
  return `${share.toFixed(size !== 0 && size < 0.1 ? 3 : size < 10 ? 2 : 1)} %`;
}

/** All digits, grouped: for tooltips, where the exact number belongs. */
export function exact(value: number): string {
  // The browser's own grouping takes 20 ms to be ready for its first number.
  const [whole, part] = String(Math.round(value * 1000) / 1000).split(".");
  const grouped = whole!.replace(/\B(?=(\d{3})+$)/g, ",");
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

/** A tick label as coarse as its step allows. */
export function tick(us: number, step: number, zone: Zone): string {
  const [day, time, micros] = parts(us, zone);
  if (step >= 86_400e6 || time === "00:00:00") return day.slice(5);
  if (step >= 60e6) return time.slice(0, 5);
  return step >= 1e6 ? time : `${time}.${String(micros).padStart(6, "0").slice(0, 3)}`;
}

export function ago(us: number): string {
  return `${quantity(Math.max(0, Date.now() * 1000 - us), "us")} ago`;
}
