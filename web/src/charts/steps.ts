// The steps of an answer over time: what each covers, and how long that is.

import { dateTime, zoneName, type Zone } from "../ui/format";

export interface Range {
  from: number;
  to: number;
}

/**
 * The steps of an answer as they are drawn. A row that sums an interval has the time of its end: if
 * rows are several steps apart, each covers the steps back to the row before it. The pointer selects
 * steps by the same rule. The first and the last step end with the range.
 */
export class Steps {
  private readonly reach: number;
  private readonly first: number;

  constructor(
    private readonly times: number[],
    readonly step: number,
    private readonly filled: boolean[],
    private readonly range: Range = { from: times[0], to: times[times.length - 1] + step },
  ) {
    this.reach = intervalSteps(filled) - 1;
    this.first = filled.indexOf(true);
  }

  get count(): number {
    return this.times.length;
  }

  /** The length of the interval that one step shows, in microseconds. */
  get interval(): number {
    return this.step * (this.reach + 1);
  }

  /** The start and the end of what a step shows. */
  span(k: number): [number, number] {
    let first = k;
    while (k - first < this.reach && first > 0 && !this.filled[first - 1]) first--;
    const { times, step, range } = this;
    const from = first ? times[first] : range.from;
    return [from, k === times.length - 1 ? range.to : times[k] + step];
  }

  /** Whether an end of the range cuts it: a row that sums more time than is left stands out. */
  cut(k: number): boolean {
    const [from, to] = this.span(k);
    const edge = k === 0 || k === this.times.length - 1;
    return edge && !this.reach && Math.abs(to - from - this.step) > 1;
  }

  /** How much time the rows of a step sum, in microseconds: the first row's began before it. */
  length(k: number): number {
    const [from, to] = this.span(k);
    return this.reach && k === this.first ? Math.max(to - from, this.interval) : to - from;
  }

  /** The step that is drawn at a time: the next filled one that reaches back to it. */
  at(time: number): number {
    const last = this.times.length - 1;
    const at = Math.max(0, Math.min(last, Math.floor((time - this.times[0]) / this.step)));
    for (let k = at; k <= Math.min(last, at + this.reach); k++) if (this.filled[k]) return k;
    return at;
  }

  /** The step that is drawn over another one. */
  over(k: number): number {
    return this.at(this.times[k] + this.step / 2);
  }

  /** All time between two moments, in whole steps. */
  around(one: number, other: number): Range {
    const [from] = this.span(this.at(Math.min(one, other)));
    const [, to] = this.span(this.at(Math.max(one, other)));
    return { from, to };
  }

  text(k: number, zone: Zone): string {
    const [from, to] = this.span(k);
    const text = (time: number) =>
      this.step < 1e6 ? dateTime(time, zone, true).replace(/\.?0+$/, "") : dateTime(time, zone);
    return `${text(from)} – ${text(to).slice(11)} ${zoneName(zone)}`;
  }
}

/** Returns the number of steps of an interval; 1 if rows are not at even distances. */
function intervalSteps(filled: boolean[]): number {
  const at = filled.flatMap((one, k) => (one ? [k] : []));
  const gaps = at.slice(1).map((k, i) => k - at[i]);
  const gap = gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 1;
  const same = gaps.filter((one) => Math.abs(one - gap) <= 1).length;
  return gaps.length >= 4 && gap <= 8 && same >= 0.7 * gaps.length ? gap : 1;
}

/** Steps of an answer that are drawn as one: the time of each group, and its members. */
export interface Joined {
  times: number[];
  groups: number[][];
}

export function single(times: number[]): Joined {
  return { times, groups: times.map((_, k) => [k]) };
}

/**
 * Steps cut short by the ends of a range join their neighbours if less than half of them is left: a
 * row that sums more time than that would stand out.
 */
export function joined(times: number[], step: number, { from, to }: Range): Joined {
  const all = single(times);
  const last = times.length - 1;
  if (last < 3) return all;
  if (to - times[last] < step / 2) {
    all.groups.splice(-2, 2, [last - 1, last]);
    all.times = times.slice(0, last);
  }
  if (times[0] + step - from < step / 2) {
    all.groups.splice(0, 2, [0, 1]);
    all.times = all.times.slice(1);
  }
  return all;
}
