// The lines of the table beside a flame graph: sums per frame of the part of the tree that is shown.

import type { Source } from "./flame_query";
import { label } from "./paint";
import { chains, sumsOf } from "./sums";
import type { Tree } from "./tree";

/** A frame, or the deepest of a chain of frames that always have the same. */
export interface NameRow {
  id: number;
  name: string;
  label: string;
  /** Its callers in the chain, the outermost first. */
  above: string[];
  self: number[];
  total: number[];
}

/** The part of a tree that the table sums. */
export interface Part {
  source: Source;
  tree: Tree;
  /** The node that is zoomed into. */
  root: number;
  /** The value that shares are of. */
  all: number;
}

/** The lines of the table. */
export interface NameLines {
  /** A line for each chain, and one for each frame. */
  lines: NameRow[];
  single: NameRow[];
  /** The lines of a comparison that both sides have. */
  both: NameRow[];
}

export const NO_LINES: NameLines = { lines: [], single: [], both: [] };

/** Sums a part of a tree. */
export function linesOf({ source, tree, root }: Part): NameLines {
  const sums = sumsOf(tree, source.groups, root);
  const rows = new Map<number, NameRow>();
  tree.names.forEach((name, id) => {
    if (!sums.total[0][id]) return;
    const [self, total] = [sums.self, sums.total].map((sides) => sides.map((side) => side[id]));
    rows.set(id, { id, name, label: label(name), above: [], self, total });
  });
  const single = [...rows.values()];
  const lines = chains(sums).flatMap((chain) => lineOf(chain, rows, tree));
  const both = source.sides ? lines.filter((row) => !oneSided(row)) : lines;
  return { lines, single, both };
}

function lineOf(chain: number[], rows: Map<number, NameRow>, tree: Tree): NameRow[] {
  const deepest = rows.get(chain.at(-1) ?? -1);
  const above = chain.slice(0, -1).map((id) => tree.names[id]);
  return deepest ? [{ ...deepest, above }] : [];
}

/** The side that alone has a frame: 1 or 2; 0 if both have it. */
export function oneSided({ total }: NameRow): number {
  if (!total[1]) return 2;
  return total[2] ? 0 : 1;
}
