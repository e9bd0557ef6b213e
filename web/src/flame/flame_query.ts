// Asking for stack trees.

import type { Query } from "../api/client";
import { flameChart, question, stackColumn, valueColumn, type Context } from "../state/context";
import { OTHERS } from "./frames";
import { groupsApart, makeTree, selfOf, type Tree } from "./tree";
import type { Flamegraph } from "../api/types.generated";

/** A tree as answered, before focus, inversion and the like. */
export interface Source {
  /** Newer data of the same has the same; see `subject`. */
  of: string;
  tree: Tree;
  unit: string;
  /** How many levels below the root are groups (a process) rather than frames. */
  groups: number;
  groupNames: Uint8Array;
  /** For a comparison: what its two sides are multiplied by to be compared. */
  scale: [number, number] | null;
  /** For a comparison: what is before and what is after. */
  sideNames: [string, string] | null;
}

/** The grouping at the root: as the address says, else as the category declares. */
export function grouping(context: Context): string {
  const { group } = context.store.state;
  if (group === "-") return "";
  return group || declaredGrouping(context);
}

export function declaredGrouping(context: Context): string {
  return flameChart(context)?.by ?? "";
}

/** How many levels below the root are groups. */
export function groupLevels(context: Context): number {
  return grouping(context).split(",").filter(Boolean).length;
}

export function flameQuery(context: Context): Query {
  return [...question(context, "box"), ...stackQuery(context)];
}

/** What is summed, of which stacks, grouped by what. */
export function stackQuery(context: Context): Query {
  return [
    ["value", valueColumn(context)],
    ["stack", stackColumn(context)],
    ["by", grouping(context)],
  ];
}

/** What a tree is of: newer data of the same keeps selection, zoom and place. */
export function subject(context: Context): string {
  return [context.store.state.table, stackColumn(context), grouping(context)].join(" ");
}

export function flameSource(answer: Flamegraph, groups: number, of: string): Source {
  const tree = groupsApart(flameTree(answer), groups);
  const groupNames = namesOfGroups(tree, groups);
  return { of, tree, unit: answer.unit, groups, groupNames, scale: null, sideNames: null };
}

/** The node of the groups that are not shown; -1 without one. */
function othersIn({ names, name, level, value, rest }: Flamegraph): number {
  if (!rest) return -1;
  return name.findIndex((id, i) => level[i] === 1 && value[i] === rest && names[id] === "other");
}

export function flameTree(answer: Flamegraph): Tree {
  const others = othersIn(answer);
  if (others >= 0) {
    const name = answer.name.with(others, answer.names.length);
    return flameTree({ ...answer, names: [...answer.names, OTHERS], name, rest: 0 });
  }
  const count = answer.count?.length ? answer.count : null;
  const sides: { value: ArrayLike<number>; self: ArrayLike<number> }[] = [answer];
  if (count) sides.push({ value: count, self: selfOf(answer.level, count) });
  return makeTree(answer.names, answer.name, answer.level, sides);
}

/** Per name, 1 where it names a group and never a frame; the root counts as a group. */
export function namesOfGroups(tree: Tree, groups: number): Uint8Array {
  const found = new Uint8Array(tree.names.length).fill(1);
  for (let i = 0; i < tree.n; i++) if (tree.level[i] > groups) found[tree.name[i]] = 0;
  return found;
}
