// Sums per frame of a part of a tree, and which frames always have the same.

import type { Tree } from "./tree";

export interface Sums {
  /** Per side, per name. The total of a recursive frame counts its outermost occurrence only. */
  total: Float64Array[];
  self: Float64Array[];
  /** Per name: the only frame that it calls, with all of its value; -1 for none. */
  next: Int32Array;
}

const UNKNOWN = -2;
const NONE = -1;

/**
 * Sums the nodes from `root` down; the top `groups` levels are not frames and are left out, and so
 * are the callers of the root.
 */
export function sumsOf(tree: Tree, groups: number, root = 0): Sums {
  const { names, sides, level, name, end } = tree;
  const until = new Int32Array(names.length);
  const total = sides.map(() => new Float64Array(names.length));
  const self = sides.map(() => new Float64Array(names.length));
  const next = new Int32Array(names.length).fill(UNKNOWN);
  const last = tree.n ? end[root] : 0;
  for (let i = Math.max(1, root); i < last; i++) {
    if (level[i] <= groups) continue;
    const id = name[i];
    const outer = i >= until[id];
    if (outer) {
      until[id] = end[i];
      const child = onlyChild(tree, i);
      if (next[id] !== child) next[id] = next[id] === UNKNOWN ? child : NONE;
    }
    for (let s = 0; s < sides.length; s++) {
      self[s][id] += sides[s].self[i];
      if (outer) total[s][id] += sides[s].value[i];
    }
  }
  for (let id = 0; id < next.length; id++) if (!alike(total, id, next[id])) next[id] = NONE;
  return { total, self, next };
}

/** The name of the child that has all of a node's value, on each side; -1 for none. */
function onlyChild({ end, name, sides }: Tree, node: number): number {
  const child = node + 1;
  if (child >= end[node] || name[child] === name[node]) return NONE;
  for (const { value } of sides) if (value[child] !== value[node]) return NONE;
  return name[child];
}

function alike(total: Float64Array[], one: number, other: number): boolean {
  return other >= 0 && total.every((side) => side[one] === side[other]);
}

/** The frames of each chain, the deepest last; a frame that is alike to no other is one by itself. */
export function chains({ next, total }: Sums): number[][] {
  const above = new Int32Array(next.length).fill(NONE);
  const many = new Uint8Array(next.length);
  next.forEach((to, id) => {
    if (to < 0) return;
    if (above[to] >= 0) many[to] = 1;
    above[to] = id;
  });
  const follows = (id: number) => next[id] >= 0 && !many[next[id]];
  const found: number[][] = [];
  const seen = new Uint8Array(next.length);
  const collect = (deepest: number) => {
    const chain: number[] = [];
    let id = deepest;
    while (id >= 0 && !seen[id]) {
      seen[id] = 1;
      chain.unshift(id);
      const up: number = many[id] ? NONE : above[id];
      id = up;
    }
    found.push(chain);
  };
  const there = (id: number) => total.some((side) => side[id] !== 0);
  for (let id = 0; id < next.length; id++) if (there(id) && !follows(id)) collect(id);
  for (let id = 0; id < next.length; id++) if (there(id) && !seen[id]) collect(id);
  return found;
}
