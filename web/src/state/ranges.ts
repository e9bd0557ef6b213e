// Time ranges: `now`, `now-15m`, or an ISO time.

import { dateTime, type Zone } from "../ui/format";
import { need } from "../ui/need";

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };
const UNIT_WORDS: Record<string, string> = { s: "s", m: "min", h: "h", d: "days", w: "weeks" };

export const PRESETS: [string, string][] = [
  ["now-5m", "last 5 min"],
  ["now-15m", "last 15 min"],
  ["now-1h", "last 1 h"],
  ["now-6h", "last 6 h"],
  ["now-1d", "last 24 h"],
  ["now-7d", "last 7 days"],
  ["now-30d", "last 30 days"],
];

/** The years 1 to 9999, in microseconds: what an ISO time can say. */
const [EARLIEST, LATEST] = [-62_135_596_800e6, 253_402_300_800e6];

export function inCalendar(us: number): boolean {
  return us >= EARLIEST && us < LATEST;
}

/**
 * Microseconds since the epoch, or null if the text names no moment; `zone` if it says none, and
 * `now` in milliseconds.
 */
export function moment(text: string, zone: Zone = "utc", now = Date.now()): number | null {
  const time = momentOf(text, zone, now);
  return time !== null && inCalendar(time) ? time : null;
}

/**
 * Both ends, seen from one moment: if the clock ticked between them an hour would be longer than
 * an hour, and its steps twice as long.
 */
export function moments(
  from: string,
  to: string,
  zone: Zone = "utc",
): [number | null, number | null] {
  const now = Date.now();
  return [moment(from, zone, now), moment(to, zone, now)];
}

/** The same for a text that is known to name a moment. */
export function knownMoment(text: string, now = Date.now()): number {
  return need(moment(text, "utc", now), `the moment of ${text}`);
}

function momentOf(text: string, zone: Zone, now: number): number | null {
  const relative = /^now(?:-(\d+)([smhdw]))?$/.exec(text.trim());
  if (relative) {
    const back = relative[1] ? Number(relative[1]) * UNITS[relative[2]] : 0;
    return (now - back * 1000) * 1000;
  }
  const iso = text.trim().replace(" ", "T");
  if (!/^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:?\d\d)?)?$/.test(iso)) return null;
  const full = iso.includes("T") ? iso : `${iso}T00:00:00`;
  const own = zone === "local" || /(Z|[+-]\d\d:?\d\d)$/.test(full.slice(10));
  const time = Date.parse(own ? full : `${full}Z`);
  return Number.isNaN(time) ? null : time * 1000 + micros(full);
}

/** Date knows milliseconds; the digits after them are read here. */
function micros(iso: string): number {
  const digits = /\.(\d{1,6})/.exec(iso)?.[1] ?? "";
  return Number(digits.padEnd(6, "0").slice(3));
}

export function iso(us: number): string {
  const whole = Math.round(us);
  const rest = ((whole % 1e6) + 1e6) % 1e6;
  const seconds = new Date((whole - rest) / 1000).toISOString().slice(0, 19);
  return rest ? `${seconds}.${String(rest).padStart(6, "0")}Z` : `${seconds}Z`;
}

export function rangeText(from: string, to: string, zone: Zone): string {
  const back = /^now-(\d+)([smhdw])$/.exec(from);
  if (to === "now" && back) {
    const preset = PRESETS.find(([start]) => start === from);
    return preset?.[1] ?? `last ${back[1]} ${UNIT_WORDS[back[2]]}`;
  }
  const [start, end] = [momentText(from, zone), momentText(to, zone)];
  const day = /^(.* )/.exec(start)?.[1] ?? "";
  return `${start}–${day && end.startsWith(day) ? end.slice(day.length) : end}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** As short as it can be: today has no date, this year no number, a whole minute no seconds. */
function momentText(text: string, zone: Zone): string {
  const at = text.startsWith("now") ? null : moment(text);
  if (at === null) return text;
  const [day = "", time = ""] = dateTime(at, zone, at % 1e6 !== 0).split(" ");
  const [today = ""] = dateTime(Date.now() * 1000, zone).split(" ");
  const short = time.replace(/(\.\d{3})\d*/, "$1").replace(/:00$/, "");
  if (day === today) return short;
  const [year = "", month = "", date = ""] = day.split("-");
  const name = `${Number(date)} ${MONTHS[Number(month) - 1]}`;
  return `${name}${year === today.slice(0, 4) ? "" : ` ${year}`} ${short}`;
}
