// Asking for stack trees.

import type { Query } from "../api/client";
import {
  category,
  column,
  flameChart,
  question,
  stackColumn,
  valueColumn,
  type Context,
} from "../state/context";
import { measureOf, type Measure } from "../ui/rate";
import { statesOf } from "../ui/states";
import { OTHERS } from "./frames";
import { groupsApart, makeTree, selfOf, type Tree } from "./tree";
import type { Comparison, Flamegraph, Meta } from "../../generated/types";

/** A tree as answered, before focus, inversion and the like. */
export interface Source {
  /** Newer data of the same has the same; see `subject`. */
  of: string;
  tree: Tree;
  measure: Measure;
  /** How the category calls its events. */
  events: string;
  /** How many levels below the root are groups (a process) rather than frames. */
  groups: number;
  groupNames: Uint8Array;
  /** For a comparison. */
  sides: Sides | null;
  /** The states that the groups can be in, if the category unites others. */
  states: string[];
  /** The amount that presets hide; 0 for none. */
  hidden: number;
}

/** Before and after. */
export interface Sides {
  /** The factors that make them comparable. */
  scale: [number, number];
  measures: [Measure, Measure];
  names: [string, string];
  /** Shares of the wholes are compared rather than amounts. */
  shares: boolean;
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

/** The measure of an answer that sums up to `total`: its unit, and the time that it sums. */
export function measured(context: Context, unit: string, meta: Meta, total: number): Measure {
  const rate = column(context, valueColumn(context))?.rate ?? "";
  return measureOf(unit, rate, (meta.to - meta.from) / 1e6, total);
}

/** Those of the baseline and of what is compared with it: both are rates, or both are plain. */
export function measuredSides(context: Context, answer: Comparison): [Measure, Measure] {
  const { unit, base_meta, base_total, meta, total } = answer;
  const base = measured(context, unit, base_meta, base_total);
  const shown = measured(context, unit, meta, total);
  const rate = shown.rate || base.rate;
  return [
    { ...base, rate },
    { ...shown, rate },
  ];
}

/** The source of an answer's tree, of one side or of two. */
export function sourceOf(
  context: Context,
  measure: Measure,
  answered: Tree,
  sides: Sides | null = null,
  meta: Meta | null = null,
): Source {
  const groups = grouping(context).split(",").filter(Boolean).length;
  const tree = groupsApart(answered, groups);
  const groupNames = namesOfGroups(tree, groups);
  const events = category(context)?.columns.find(({ type }) => type === "count")?.prettyname;
  const named = events?.toLowerCase() ?? "events";
  const states = statesOf(category(context));
  const hidden = (meta?.hidden ?? []).reduce((all, { value }) => all + (value ?? 0), 0);
  const of = subject(context);
  return { of, tree, measure, events: named, groups, groupNames, sides, states, hidden };
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

/**
 * A comparison whose baseline no longer holds what is shown: the shown rows are a part of the
 * baseline's, so that the rest of it is the difference, node by node.
 */
export function apart(answer: Comparison): Comparison {
  const less = (base: number[], shown: number[]) =>
    base.map((value, k) => Math.max(0, value - shown[k]));
  return {
    ...answer,
    base_value: less(answer.base_value, answer.value),
    base_self: less(answer.base_self, answer.self),
    base_count: less(answer.base_count, answer.count),
    base_total: Math.max(0, answer.base_total - answer.total),
    base_rest: Math.max(0, answer.base_rest - answer.rest),
  };
}

/** Per name, 1 if it names groups only and no frame; the root counts as a group. */
function namesOfGroups(tree: Tree, groups: number): Uint8Array {
  const found = new Uint8Array(tree.names.length).fill(1);
  for (let i = 0; i < tree.n; i++) if (tree.level[i] > groups) found[tree.name[i]] = 0;
  return found;
}
