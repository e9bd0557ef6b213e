// The sentences of a host: how it differs from those that are alike.

import { label } from "../flame/paint";
import { ratioText } from "../flame/ratio";
import { bare, word, type Measure } from "../ui/rate";
import { short } from "../ui/text";
import type { Frame, Host } from "../../generated/types";

const LEAST_DIFFERENCE = 0.001;
/** Hosts are unlike from this distance on, and from so many times the middle of their group. */
const UNLIKE = 0.025;
const TIMES = 3;

/** A frame on a host, in amounts of the host's own size. */
export interface Difference {
  frame: string;
  here: number;
  alike: number;
  heavier: boolean;
}

/**
 * Callers that always run through one frame have its numbers: one of them tells all. What is as large
 * on the hosts alike makes no difference.
 */
export function differences({ frames, total }: Host): Difference[] {
  const found = frames.filter((one, k) => {
    if (Math.abs(one.share - one.median) < LEAST_DIFFERENCE) return false;
    const same = (other: Frame) => other.share === one.share && other.median === one.median;
    return frames.findIndex(same) === k;
  });
  return found.map(({ name, share, median }) => ({
    frame: short(label(name), 80),
    here: share * total,
    alike: median * total,
    heavier: share > median,
  }));
}

/** The hosts of a group that are farther from it than its hosts use to be. */
export function unlike(hosts: Host[]): Set<string> {
  const known = hosts.flatMap(({ distance }) => (distance === null ? [] : [distance]));
  known.sort((a, b) => a - b);
  const middle = known[Math.floor((known.length - 1) / 2)] ?? 0;
  const least = Math.max(UNLIKE, TIMES * middle);
  const far = hosts.filter(({ distance }) => distance !== null && distance >= least);
  return new Set(known.length > 1 ? far.map(({ host }) => host) : []);
}

/** How far apart the hosts of a group are. */
export function apartWords(hosts: Host[], far: Set<string>): string {
  const near = hosts.flatMap(({ host, distance }) =>
    distance === null || far.has(host) ? [] : [distance],
  );
  if (hosts.length < 2) return "no host is like it";
  const [low, high] = [Math.min(...near), Math.max(...near)].map((one) => one.toFixed(2));
  const usual = near.length ? `${low === high ? low : `${low} to ${high}`} apart` : "";
  const odd = far.size === 1 ? "one is not alike" : `${far.size} are not alike`;
  return [usual, far.size ? odd : "all are"].filter(Boolean).join("; ");
}

/** From the hosts alike to this one: "0 to 2.7 threads". */
export function changeWords({ here, alike }: Difference, measure: Measure): string {
  const unit = measure.rate ? ` ${word(measure)}` : "";
  return `${bare(alike, measure)} to ${bare(here, measure)}${unit}`;
}

export function factorWords({ here, alike }: Difference): string {
  const { text } = ratioText(alike, here);
  return text === "new" ? "new here" : text === "gone" ? "not here" : text;
}
