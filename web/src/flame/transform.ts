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

  tree(): Tree {
    return makeTree(this.source.names, this.name, this.level, this.sides);
  }
}

function children(tree: Tree, node: number): number[] {
  const found: number[] = [];
  for (let i = node + 1; i < tree.end[node]; i = tree.end[i]) found.push(i);
  return found;
}

function grouped(tree: Tree, nodes: number[]): number[][] {
  const groups = new Map<number, number[]>();
  for (const node of nodes) {
    const group = groups.get(tree.name[node]);
    if (group) group.push(node);
    else groups.set(tree.name[node], [node]);
  }
  const names = tree.names;
  return [...groups.values()].sort((a, b) =>
    names[tree.name[a[0]]] < names[tree.name[b[0]]] ? 1 : -1,
  );
}

/** Merges the subtrees under `roots` into one. `collapse` folds a frame that calls itself. */
function mergeDown(tree: Tree, roots: number[], collapse = false): Tree {
  const builder = new Builder(tree);
  const stack: { nodes: number[]; level: number }[] = [{ nodes: roots, level: 0 }];
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { nodes, level } = top;
    const name = tree.name[nodes[0]];
    const at = builder.add(name, level);
    tree.sides.forEach((side, s) => {
      for (const node of nodes) builder.sides[s].value[at] += side.value[node];
    });
    const below: number[] = [];
    const pool = [...nodes];
    for (let node = pool.pop(); node !== undefined; node = pool.pop()) {
      tree.sides.forEach((side, s) => {
        builder.sides[s].self[at] += side.self[node];
      });
      for (const child of children(tree, node)) {
        (collapse && tree.name[child] === name ? pool : below).push(child);
      }
    }
    for (const group of grouped(tree, below)) stack.push({ nodes: group, level: level + 1 });
  }
  return builder.tree();
}

/**
 * Merges the ways from each of `starts` up to the root, the start itself first. A start's weight
 * is its self or its whole value; `root` names the node that all ways hang from, -1 merges the
 * starts themselves into the root.
 */
function mergeUp(tree: Tree, starts: number[], by: "self" | "value", root: number): Tree {
  const builder = new Builder(tree);
  const weights = tree.sides.map((side) => side[by]);
  const add = (name: number, level: number, from: number[]): number => {
    const at = builder.add(name, level);
    weights.forEach((weight, s) => {
      for (const start of from) builder.sides[s].value[at] += weight[start];
    });
    return at;
  };
  const end = (at: number, start: number): void => {
    weights.forEach((weight, s) => {
      builder.sides[s].self[at] += weight[start];
    });
  };
  type Way = { from: number[]; here: number[]; level: number };
  const stack: Way[] = [];
  const spread = (from: number[], here: number[], level: number): void => {
    const start = new Map<number, number[]>();
    here.forEach((node, k) => {
      const name = tree.name[node];
      const ks = start.get(name);
      if (ks) ks.push(k);
      else start.set(name, [k]);
    });
    const names = tree.names;
    for (const [, ks] of [...start].sort(([a], [b]) => (names[a] < names[b] ? 1 : -1))) {
      stack.push({ from: ks.map((k) => from[k]), here: ks.map((k) => here[k]), level });
    }
  };
  if (root >= 0) {
    add(root, 0, starts);
    spread(starts, starts, 1);
  } else {
    stack.push({ from: starts, here: starts, level: 0 });
  }
  for (let top = stack.pop(); top; top = stack.pop()) {
    const { from, here, level } = top;
    const at = add(tree.name[here[0]], level, from);
    const onFrom: number[] = [];
    const onHere: number[] = [];
    for (let k = 0; k < here.length; k++) {
      const above = tree.parent[here[k]];
      if (above <= 0) end(at, from[k]);
      else {
        onFrom.push(from[k]);
        onHere.push(above);
      }
    }
    if (onFrom.length === 1) chain(tree, add, end, onFrom[0], onHere[0], level + 1);
    else if (onFrom.length) spread(onFrom, onHere, level + 1);
  }
  return builder.tree();
}

/** A way that nothing else shares needs no grouping. */
function chain(
  tree: Tree,
  add: (name: number, level: number, from: number[]) => number,
  end: (at: number, start: number) => void,
  start: number,
  first: number,
  level: number,
): void {
  const from = [start];
  let at = 0;
  for (let node = first; node > 0; node = tree.parent[node]) {
    at = add(tree.name[node], level++, from);
  }
  end(at, start);
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
