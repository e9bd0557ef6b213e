// A node as text: for the tooltip, the screen reader and the exported picture.

import { amount, exact, percent } from "../ui/format";
import { plain, short } from "../ui/text";
import { ENDS, frame, KIND_TEXT, REST } from "./frames";
import { changeText } from "./names";
import { label } from "./paint";
import { total, wholes, type Tree } from "./tree";

export interface Telling {
  unit: string;
  /** For a comparison: what its sides are multiplied by. */
  scale?: [number, number] | null;
  /** The node is a group (a process), no frame. */
  grouped?: boolean;
  /** Per side, what shares are of; the tree's own whole if not given. */
  all?: number[];
  /** The tree is a part of everything: shares of the part are shown too. */
  focused?: boolean;
}

export function describe(tree: Tree, node: number, telling: Telling): string[] {
  const { unit, scale, grouped, all = wholes(tree), focused = false } = telling;
  const name = tree.names[tree.name[node]];
  const { kind, library } = frame(name);
  const shown = short(label(name));
  const known = ENDS.has(name) ? "root missing" : KIND_TEXT[kind];
  const what = library ? `${known} ${short(plain(library))}` : known;
  const lines = [grouped ? shown : `${shown}  (${what})`];
  const why = REST.get(name) ?? ENDS.get(name);
  if (why) lines.push(why);
  if (scale) return [...lines, ...comparison(tree, node, unit, scale, all)];
  const { value, self } = tree.sides[0];
  const parent = tree.parent[node];
  const shares = (part: number) => {
    const ofAll = `${percent(part, all[0] ?? 0)} of all`;
    return focused ? `${ofAll}, ${percent(part, total(tree))} of the focus` : ofAll;
  };
  lines.push(`total ${amount(value[node], unit)}, ${shares(value[node])}`);
  if (parent > 0) lines.push(`${percent(value[node], value[parent])} of its parent`);
  lines.push(`self ${amount(self[node], unit)}, ${shares(self[node])}`);
  if (tellsEvents(tree, [0])) lines.push(eventsText(tree.sides[1].value[node]));
  return lines;
}

/** Whether events are known, and other than the values; those of `sides` follow after these. */
function tellsEvents(tree: Tree, sides: number[]): boolean {
  return sides.some((side) => {
    const events = tree.sides[side + sides.length];
    return events && events.value[0] !== tree.sides[side].value[0];
  });
}

function eventsText(count: number): string {
  return count === 1 ? "1 event" : `${exact(count)} events`;
}

function comparison(
  tree: Tree,
  node: number,
  unit: string,
  scale: [number, number],
  all: number[],
): string[] {
  const before = tree.sides[1].value;
  const after = tree.sides[2].value;
  const counted = tellsEvents(tree, [1, 2]);
  const line = (title: string, side: number) => {
    const { value } = tree.sides[side];
    const share = percent(value[node], all[side] ?? 0);
    const text = `${title} ${amount(value[node], unit)}, ${share}`;
    return counted ? `${text}, ${eventsText(tree.sides[side + 2].value[node])}` : text;
  };
  const change = after[node] * scale[1] - before[node] * scale[0];
  const state = !before[node] ? "appeared" : !after[node] ? "vanished" : "change";
  return [line("before", 1), line("after", 2), `${state} ${changeText(change, unit, scale)}`];
}
