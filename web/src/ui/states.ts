// One colour for one state, in the timeline and in the graph.

import type { CategoryAnswer } from "../../generated/types";

/** The states that the built-in wall clock has; others have a colour by their place. */
const KNOWN = new Map([
  ["on CPU", "--s4"],
  ["waiting to run", "--s6"],
  ["disk", "--s1"],
  ["lock", "--s2"],
  ["network", "--s3"],
  ["other waits", "--s0"],
  ["idle", "--s0"],
]);
export const COLORS = 6;

/** The states that rows of a category that unites others can be in; of another category none. */
export function statesOf(category: CategoryAnswer | undefined): string[] {
  if (!category?.union.length) return [];
  return category.columns.find(({ words }) => words.length > 0)?.words ?? [];
}

/** The token of a state's colour, among all that it can be; "" for what is no state. */
export function stateToken(name: string, states: string[]): string {
  const place = states.indexOf(name);
  if (place < 0) return "";
  return KNOWN.get(name) ?? `--s${(place % COLORS) + 1}`;
}
