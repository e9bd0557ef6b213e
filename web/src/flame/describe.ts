// A node in words: for the tooltip, the screen reader and the exported picture.

import { exact, percent, quantity } from "../format";
import { frame, KIND_TEXT } from "./frames";
import { changeText } from "./names";
import { total, type Tree } from "./tree";

export interface Telling {
  unit: string;
  /** For a comparison: what its sides are multiplied by. */
  scale?: [number, number] | null;
  /** The node is a group (a process), no frame. */
  grouped?: boolean;
  /** What shares are of; the tree's own total if not given. */
  all?: number;
}

export function describe(tree: Tree, node: number, telling: Telling): string[] {
  const { unit, scale, grouped, all = total(tree) } = telling;
  const { label, kind, library } = frame(tree.names[tree.name[node]!]!);
  const what = library ? `${KIND_TEXT[kind]} ${library}` : KIND_TEXT[kind];
  const lines = [grouped ? label : `${label}  (${what})`];
  if (scale) return [...lines, ...comparison(tree, node, unit, scale)];
  const { value, self } = tree.sides[0]!;
  const parent = tree.parent[node]!;
  lines.push(`total ${amount(value[node]!, unit)}, ${percent(value[node]!, all)} of all`);
  if (parent > 0) lines.push(`${percent(value[node]!, value[parent]!)} of its parent`);
  lines.push(`self ${amount(self[node]!, unit)}, ${percent(self[node]!, all)} of all`);
  if (tellsEvents(tree, [0])) lines.push(eventsText(tree.sides[1]!.value[node]!));
  return lines;
}

/** Whether events are known, and other than the values; those of `sides` follow after these. */
function tellsEvents(tree: Tree, sides: number[]): boolean {
  return sides.some((side) => {
    const events = tree.sides[side + sides.length];
    return events && events.value[0] !== tree.sides[side]!.value[0];
  });
}

function eventsText(count: number): string {
  return count === 1 ? "1 event" : `${exact(count)} events`;
}

function amount(value: number, unit: string): string {
  const short = quantity(value, unit);
  const long = exact(value);
  if (unit === "us" && value >= 1000) return `${short} (${long} µs)`;
  return !unit && value >= 1000 ? `${short} (${long})` : short;
}

function comparison(tree: Tree, node: number, unit: string, scale: [number, number]): string[] {
  const before = tree.sides[1]!.value;
  const after = tree.sides[2]!.value;
  const counted = tellsEvents(tree, [1, 2]);
  const line = (title: string, side: number) => {
    const { value } = tree.sides[side]!;
    const text = `${title} ${amount(value[node]!, unit)}, ${percent(value[node]!, value[0]!)}`;
    return counted ? `${text}, ${eventsText(tree.sides[side + 2]!.value[node]!)}` : text;
  };
  const change = after[node]! * scale[1] - before[node]! * scale[0];
  const state = !before[node] ? "appeared" : !after[node] ? "vanished" : "change";
  return [line("before", 1), line("after", 2), `${state} ${changeText(change, unit, scale)}`];
}
