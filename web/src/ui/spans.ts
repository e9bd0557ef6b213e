// Stretches of time as people write them, as short as they can be without being mistaken.

import { dateTime, duration, zoneName, type Zone } from "./format";

const DAY = 86_400e6;

/** 10:18, or 10:18:30; with its day if it is more than a day away from now. */
export function clock(us: number, zone: Zone): string {
  const [day, time] = dateTime(Math.round(us / 1e6) * 1e6, zone).split(" ") as [string, string];
  const short = time.endsWith(":00") ? time.slice(0, 5) : time;
  return Math.abs(Date.now() * 1000 - us) > DAY ? `${day} ${short}` : short;
}

/** 10:18–10:24; the day is said once. */
export function span(from: number, to: number, zone: Zone): string {
  const [start, end] = [clock(from, zone), clock(to, zone)];
  const day = start.slice(0, start.lastIndexOf(" ") + 1);
  return `${start}–${day && end.startsWith(day) ? end.slice(day.length) : end}`;
}

export function zoned(text: string, zone: Zone): string {
  return `${text} ${zoneName(zone)}`;
}

/** How long, with two units at most; below a second its parts are left out. */
export function howLong(us: number): string {
  return us < 0.5e6 ? "0 s" : duration(Math.round(us / 1e6) * 1e6);
}

/** The same in one unit below a day, for what is said of long ago. */
export function roughly(us: number): string {
  return howLong(us < 60e6 ? us : Math.round(us / 60e6) * 60e6);
}

const WORDS = "No One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve".split(" ");

/** The number at the start of a sentence. */
export function counted(count: number): string {
  return WORDS[count] ?? String(count);
}

/** 1 host, 2 hosts. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
