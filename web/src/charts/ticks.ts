// Where a time axis has its ticks, and what they say: whole steps of the zone's own calendar.

import type { Zone } from "../ui/format";

export interface Tick {
  time: number;
  text: string;
}

const DAY = 86_400e6;

/** A wall time is what clocks of the zone show, as microseconds since 1970. */
interface Step {
  /** About how long a step is. */
  size: number;
  /** The first tick at or after a wall time. */
  from(wall: number): number;
  next(wall: number): number;
  text(wall: number): string;
}

function clock(wall: number, size: number): string {
  const text = new Date(wall / 1000).toISOString();
  const micros = String(((wall % 1e6) + 1e6) % 1e6).padStart(6, "0");
  if (wall % DAY === 0) return text.slice(5, 10);
  if (size >= 60e6) return text.slice(11, 16);
  if (size >= 1e6) return text.slice(11, 19);
  return `${text.slice(11, 19)}.${micros}`.replace(/\.?0+$/, "");
}

/** Steps of one length; `origin` is a wall time that has a tick. */
function even(size: number, origin = 0): Step {
  return {
    size,
    from: (wall) => Math.ceil((wall - origin) / size) * size + origin,
    next: (wall) => wall + size,
    text: (wall) => (size < DAY ? clock(wall, size) : day(wall, size)),
  };
}

/** The year is said by the first tick of a year. */
function day(wall: number, size: number): string {
  const text = new Date(wall / 1000).toISOString();
  const before = new Date((wall - size) / 1000).toISOString();
  return text.slice(text.slice(0, 4) === before.slice(0, 4) ? 5 : 0, 10);
}

function months(count: number): Step {
  const monthOf = (wall: number) => {
    const date = new Date(wall / 1000);
    return date.getUTCFullYear() * 12 + date.getUTCMonth();
  };
  return {
    size: count * 30.44 * DAY,
    from: (wall) => {
      const first = startOf(Math.floor(monthOf(wall) / count) * count);
      return first >= wall ? first : startOf(monthOf(first) + count);
    },
    next: (wall) => startOf(monthOf(wall) + count),
    text: (wall) => new Date(wall / 1000).toISOString().slice(0, count % 12 ? 7 : 4),
  };
}

/** Months are counted from the year 0, which `Date.UTC` takes for 1900. */
function startOf(month: number): number {
  const date = new Date(0);
  date.setUTCFullYear(Math.floor(month / 12), month % 12, 1);
  return date.getTime() * 1000;
}

const MONDAY = 4 * DAY;
const STEPS: Step[] = [
  ...[1, 10, 100, 1e3, 1e4, 1e5].flatMap((one) => [1, 2, 5].map((k) => even(k * one))),
  ...[1, 2, 5, 10, 15, 30].map((seconds) => even(seconds * 1e6)),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => even(minutes * 60e6)),
  ...[1, 2, 3, 6, 12].map((hours) => even(hours * 3600e6)),
  ...[even(DAY), even(2 * DAY), even(7 * DAY, MONDAY), even(14 * DAY, MONDAY)],
  ...[1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000, 12_000].map(months),
];

function offset(time: number, zone: Zone): number {
  return zone === "utc" ? 0 : -new Date(time / 1000).getTimezoneOffset() * 60e6;
}

/** The moment at which clocks of the zone show `wall`. */
function moment(wall: number, zone: Zone): number {
  const near = wall - offset(wall, zone);
  return wall - offset(near, zone);
}

const MOST = 400;

function ticksBy(step: Step, from: number, to: number, zone: Zone): Tick[] {
  const ticks: Tick[] = [];
  let wall = step.from(from + offset(from, zone));
  for (let k = 0; k < MOST; k++, wall = step.next(wall)) {
    const time = moment(wall, zone);
    if (!(time <= to)) break;
    // An hour that clocks skip or repeat has no tick, or one.
    if (time >= from && time > (ticks.at(-1)?.time ?? -Infinity)) {
      ticks.push({ time, text: step.text(wall) });
    }
  }
  return ticks;
}

/** The closest ticks whose texts do not touch; `width` measures a text in pixels. */
export function timeTicks(
  from: number,
  to: number,
  pixels: number,
  zone: Zone,
  width: (text: string) => number,
): Tick[] {
  if (!(to > from) || !(pixels > 0)) return [];
  const scale = pixels / (to - from);
  for (const step of STEPS) {
    if (step.size * scale < 16) continue;
    const ticks = ticksBy(step, from, to, zone);
    if (apart(ticks, scale, width)) return ticks;
  }
  return [];
}

const GAP = 12;

function apart(ticks: Tick[], scale: number, width: (text: string) => number): boolean {
  return ticks.every((tick, k) => {
    const before = ticks[k - 1];
    if (!before) return true;
    const room = (tick.time - before.time) * scale;
    return room >= (width(before.text) + width(tick.text)) / 2 + GAP;
  });
}
