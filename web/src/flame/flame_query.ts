// Asking for stack trees.

import type { Query } from "../api/client";
import { flameChart, question, stackColumn, valueColumn, type Context } from "../state/context";
import { OTHERS } from "./frames";
import { groupsApart, makeTree, selfOf, type Tree } from "./tree";
import type { Comparison, Flamegraph } from "../../generated/types";

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

/** The grouping at the root: from the address, or else from the category. */
export function grouping(context: Context): string {
  const { group } = context.store.state;
  if (group === "-") return "";
  return group || declaredGrouping(context);
}

export function declaredGrouping(context: Context): string {
  return flameChart(context)?.by ?? "";
}

export function flameQuery(context: Context): Query {
  return [...question(context, "box"), ...stackQuery(context)];
}

/** The value, the stack column and the grouping of a question about stacks. */
export function stackQuery(context: Context): Query {
  return [
    ["value", valueColumn(context)],
    ["stack", stackColumn(context)],
    ["by", grouping(context)],
  ];
}

/** The subject of a tree: newer data with the same subject keeps selection, zoom and place. */
export function subject(context: Context): string {
  return [context.store.state.table, stackColumn(context), grouping(context)].join(" ");
}

/** The source of an answer's tree, of one side or of two. */
export function sourceOf(
  context: Context,
  unit: string,
  answered: Tree,
  sides: Pick<Source, "scale" | "sideNames"> = { scale: null, sideNames: null },
): Source {
  const groups = grouping(context).split(",").filter(Boolean).length;
  const tree = groupsApart(answered, groups);
  const groupNames = namesOfGroups(tree, groups);
  return { of: subject(context), tree, unit, groups, groupNames, ...sides };
}

/** The names of a tree's nodes; the groups that are not shown have one that no group has. */
function namesIn(answer: Flamegraph | Comparison, rest: boolean): [string[], number[]] {
  const { names, name, level } = answer;
  const others = rest ? name.findIndex((id, i) => level[i] === 1 && names[id] === "other") : -1;
  if (others < 0) return [names, name];
  return [[...names, OTHERS], name.with(others, names.length)];
}

export function flameTree(answer: Flamegraph): Tree {
  const { level, count, rest } = answer;
  const [names, name] = namesIn(answer, !!rest);
  const events = count.length ? [{ value: count, self: selfOf(level, count) }] : [];
  return makeTree(names, name, level, [answer, ...events]);
}

/**
 * Two trees in one: side 0 is both together, sides 1 and 2 are before and after, sides 3 and 4 their
 * events.
 */
export function comparedTree(answer: Comparison, swap: boolean, scale: [number, number]): Tree {
  const { level, count, base_count } = answer;
  const sides = [
    { value: answer.base_value, self: answer.base_self },
    { value: answer.value, self: answer.self },
  ];
  const events = [base_count, count].map((value) => ({ value, self: selfOf(level, value) }));
  const [before, after] = swap ? sides.reverse() : sides;
  const both = (key: "value" | "self") =>
    before[key].map((was, i) => was * scale[0] + after[key][i] * scale[1]);
  const [names, name] = namesIn(answer, !!answer.rest || !!answer.base_rest);
  const together = { value: both("value"), self: both("self") };
  if (swap) events.reverse();
  return makeTree(names, name, level, [together, before, after, ...events]);
}

/** Per name, 1 if it names groups only and no frame; the root counts as a group. */
function namesOfGroups(tree: Tree, groups: number): Uint8Array {
  const found = new Uint8Array(tree.names.length).fill(1);
  for (let i = 0; i < tree.n; i++) if (tree.level[i] > groups) found[tree.name[i]] = 0;
  return found;
}
