// Trees made from trees: leaf first, callers, callees, focus, collapsed recursion.

import { makeTree, markOf, outermost, type Tree } from "./tree";

/** Collects nodes in preorder. */
class Builder {
  readonly name: number[] = [];
  readonly level: number[] = [];
  readonly sides: { value: number[]; self: number[] }[];

  constructor(readonly source: Tree) {
    this.sides = source.sides.map(() => ({ value: [], self: [] }));
  }

  add(name: number, level: number): number {
    for (const side of this.sides) {
      side.value.push(0);
      side.self.push(0);
    }
    this.level.push(level);
    return this.name.push(name) - 1;
  }

  /** Adds a weight of nodes of the source to one of a node here. */
  sum(at: number, key: Weight, nodes: number[], of: Weight = key): void {
    this.source.sides.forEach((side, s) => {
      for (const node of nodes) this.sides[s][key][at] += side[of][node];
    });
  }

  tree(): Tree {
    return makeTree(this.source.names, this.name, this.level, this.sides);
  }
}

type Weight = "value" | "self";

/** Groups items by the names of their nodes; the last name of the alphabet is first. */
function grouped<T>(tree: Tree, items: T[], nodeOf: (item: T) => number): T[][] {
  if (items.length < 2) return items.length ? [items] : [];
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const name = tree.name[nodeOf(item)];
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  const { names } = tree;
  return [...groups].sort(([a], [b]) => (names[a] < names[b] ? 1 : -1)).map(([, group]) => group);
}

/** Merges the subtrees under `roots` into one. `collapse` folds a frame that calls itself. */
function mergeDown(tree: Tree, roots: number[], collapse = false): Tree {
  const builder = new Builder(tree);
  const stack: { nodes: number[]; level: number }[] = [{ nodes: roots, level: 0 }];
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { nodes, level } = top;
    const name = tree.name[nodes[0]];
    const at = builder.add(name, level);
    builder.sum(at, "value", nodes);
    const below: number[] = [];
    const pool = [...nodes];
    for (const node of pool) {
      for (let child = node + 1; child < tree.end[node]; child = tree.end[child]) {
        (collapse && tree.name[child] === name ? pool : below).push(child);
      }
    }
    builder.sum(at, "self", pool);
    for (const group of grouped(tree, below, (node) => node)) {
      stack.push({ nodes: group, level: level + 1 });
    }
  }
  return builder.tree();
}

/** A way up the tree: where it starts, and how far it has come. */
interface Way {
  from: number;
  here: number;
}

/**
 * Merges the ways from each of `starts` up to the root, the start itself first. A start's weight
 * is its self or its whole value; `root` names the node that all ways hang from, -1 merges the
 * starts themselves into the root.
 */
function mergeUp(tree: Tree, starts: number[], by: Weight, root: number): Tree {
  const builder = new Builder(tree);
  const stack: { ways: Way[]; level: number }[] = [];
  const spread = (ways: Way[], level: number): void => {
    for (const group of grouped(tree, ways, (way) => way.here)) stack.push({ ways: group, level });
  };
  const add = (name: number, level: number, from: number[]): number => {
    const at = builder.add(name, level);
    builder.sum(at, "value", from, by);
    return at;
  };
  const all = starts.map((start) => ({ from: start, here: start }));
  if (root < 0) stack.push({ ways: all, level: 0 });
  else {
    add(root, 0, starts);
    spread(all, 1);
  }
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { ways, level } = top;
    const at = add(
      tree.name[ways[0].here],
      level,
      ways.map((way) => way.from),
    );
    const ended: number[] = [];
    const above: Way[] = [];
    for (const way of ways) {
      way.here = tree.parent[way.here];
      if (way.here > 0) above.push(way);
      else ended.push(way.from);
    }
    builder.sum(at, "self", ended, by);
    spread(above, level + 1);
  }
  return builder.tree();
}

/** Leaf first: what was on top of the stacks becomes the first level. */
export function inverted(tree: Tree): Tree {
  const starts: number[] = [];
  for (let i = 1; i < tree.n; i++) {
    if (tree.sides.some((side) => side.self[i] > 0)) starts.push(i);
  }
  const merged = mergeUp(tree, starts, "self", tree.name[0] ?? 0);
  // Rows without a stack have no leaf: they are the root's own.
  merged.sides.forEach((side, s) => {
    const own = tree.sides[s]?.self[0] ?? 0;
    side.value[0] = (side.value[0] ?? 0) + own;
    side.self[0] = (side.self[0] ?? 0) + own;
  });
  return merged;
}

export function collapsed(tree: Tree): Tree {
  return tree.n ? mergeDown(tree, [0], true) : tree;
}

function nodesNamed(tree: Tree, name: string): number[] {
  const marked = markOf(tree.names, name);
  return marked ? outermost(tree, marked) : [];
}

/** The frame's callers (root: the frame, then who called it) and its callees; null: no such frame. */
export function sandwich(tree: Tree, name: string): { callers: Tree; callees: Tree } | null {
  const nodes = nodesNamed(tree, name);
  if (!nodes.length) return null;
  return { callers: mergeUp(tree, nodes, "value", -1), callees: mergeDown(tree, nodes) };
}

/** Only the stacks that run through a frame called `name`; the root alone where none does. */
export function focused(tree: Tree, name: string): Tree {
  const keep = new Uint8Array(tree.n);
  if (tree.n) keep[0] = 2;
  const weights = tree.sides.map(() => new Float64Array(tree.n));
  for (const node of nodesNamed(tree, name)) {
    keep.fill(1, node, tree.end[node]);
    for (let i = tree.parent[node]; i >= 0; i = tree.parent[i]) {
      keep[i] = 2;
      tree.sides.forEach((side, s) => (weights[s][i] += side.value[node]));
    }
  }
  const builder = new Builder(tree);
  for (let i = 0; i < tree.n; i++) {
    if (!keep[i]) continue;
    const at = builder.add(tree.name[i], tree.level[i]);
    tree.sides.forEach((side, s) => {
      builder.sides[s].value[at] = keep[i] === 1 ? side.value[i] : weights[s][i];
      builder.sides[s].self[at] = keep[i] === 1 ? side.self[i] : 0;
    });
  }
  return builder.tree();
}
