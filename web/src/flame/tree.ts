// A merged stack tree as flat arrays in preorder, so that 100,000 nodes are walked in milliseconds.

/**
 * One set of weights over the nodes. Side 0 is what is drawn; side 1 how many events it sums, where
 * that is known. A comparison has other sides; see `compared`.
 */
export interface Side {
  value: Float64Array;
  self: Float64Array;
}

export interface Tree {
  names: string[];
  n: number;
  /** Per node: index into `names`, depth, parent (-1 at the root), index after its last descendant. */
  name: Int32Array;
  level: Int32Array;
  parent: Int32Array;
  end: Int32Array;
  /** Per node: where it starts, in units of side 0's value, from the root's left edge. */
  x: Float64Array;
  sides: Side[];
  depth: number;
}

/** A tree without a node. */
export const EMPTY: Tree = {
  names: [],
  n: 0,
  name: new Int32Array(),
  level: new Int32Array(),
  parent: new Int32Array(),
  end: new Int32Array(),
  x: new Float64Array(),
  sides: [{ value: new Float64Array(), self: new Float64Array() }],
  depth: 0,
};

export function nameOf(tree: Tree, node: number): string {
  return tree.names[tree.name[node]];
}

export function makeTree(
  names: string[],
  name: ArrayLike<number>,
  level: ArrayLike<number>,
  sides: { value: ArrayLike<number>; self: ArrayLike<number> }[],
): Tree {
  const n = name.length;
  const tree: Tree = {
    names,
    n,
    name: new Int32Array(name),
    level: new Int32Array(level),
    parent: new Int32Array(n).fill(-1),
    end: new Int32Array(n),
    x: new Float64Array(n),
    sides: sides.map((side) => ({
      value: new Float64Array(side.value),
      self: new Float64Array(side.self),
    })),
    depth: 0,
  };
  place(tree);
  return tree;
}

/** Derives parents, ends and positions from the levels. */
function place(tree: Tree): void {
  const { n, level, parent, end } = tree;
  const open: number[] = [];
  for (let i = 0; i < n; i++) {
    const depth = level[i];
    for (let top = depth; top < open.length; top++) end[open[top]] = i;
    open.length = Math.min(open.length, depth);
    parent[i] = depth > 0 ? open[depth - 1] : -1;
    open[depth] = i;
    if (depth > tree.depth) tree.depth = depth;
  }
  for (const node of open) end[node] = n;
  layOut(tree);
}

/** Where each node starts: beside its siblings, over its parent. */
function layOut(tree: Tree): void {
  const { n, level, x } = tree;
  const value = tree.sides[0].value;
  const next = new Float64Array(tree.depth + 2);
  for (let i = 0; i < n; i++) {
    const depth = level[i];
    x[i] = next[depth];
    next[depth] = x[i] + value[i];
    next[depth + 1] = x[i];
  }
}

/** The same nodes with the weights of one side; a node that the side does not have has no width. */
export function drawnBy(tree: Tree, side: number): Tree {
  const one: Tree = { ...tree, x: new Float64Array(tree.n), sides: [tree.sides[side]] };
  layOut(one);
  return one;
}

/** Returns the self value of each node from its total value. */
export function selfOf(level: ArrayLike<number>, value: ArrayLike<number>): Float64Array {
  const self = new Float64Array(value);
  const open: number[] = [];
  for (let i = 0; i < level.length; i++) {
    open.length = level[i];
    const above = open.at(-1);
    if (above !== undefined) self[above] -= value[i];
    open.push(i);
  }
  return self;
}

/**
 * Gives each level of groups (the root, and so many levels below it) names that no frame and no other
 * level has: a process and a frame of the same name are neither merged nor counted together.
 */
export function groupsApart(tree: Tree, groups: number): Tree {
  const { n, level } = tree;
  const framed = new Uint8Array(tree.names.length);
  for (let i = 0; i < n; i++) if (level[i] > groups) framed[tree.name[i]] = 1;
  const names = [...tree.names];
  const name = new Int32Array(tree.name);
  /** By level: the names of groups, each under its old number. */
  const own = Array.from({ length: groups + 1 }, () => new Map<number, number>());
  const taken = new Set<number>();
  for (let i = 0; i < n; i++) {
    const id = tree.name[i];
    const known = own[level[i]];
    if (!known) continue;
    const free = !framed[id] && !taken.has(id);
    const made = known.get(id) ?? (free ? id : names.push(tree.names[id]) - 1);
    known.set(id, made);
    taken.add(id);
    name[i] = made;
  }
  return names.length > tree.names.length ? { ...tree, names, name } : tree;
}

/** Per side, the whole of it. */
export function wholes(tree: Tree): number[] {
  return tree.sides.map((side) => side.value[0] ?? 0);
}

export function total(tree: Tree): number {
  return tree.n ? tree.sides[0].value[0] : 0;
}

/**
 * The nodes below the root whose name is marked and that lie under no other such: summing them
 * counts nothing twice.
 */
export function outermost({ n, name, end }: Tree, marked: Uint8Array): number[] {
  const found: number[] = [];
  for (let i = 1; i < n;) {
    if (marked[name[i]]) {
      found.push(i);
      i = end[i];
    } else {
      i++;
    }
  }
  return found;
}

/** Marks one name; null where there is no such name. */
export function markOf(names: string[], name: string): Uint8Array | null {
  const id = names.indexOf(name);
  if (id < 0) return null;
  const marked = new Uint8Array(names.length);
  marked[id] = 1;
  return marked;
}

export function sum(tree: Tree, nodes: number[], side = 0): number {
  const value = tree.sides[side].value;
  return nodes.reduce((all, node) => all + value[node], 0);
}

/** The names from below the root down to `node`. */
export function pathOf(tree: Tree, node: number): string[] {
  const path: string[] = [];
  for (let i = node; i > 0; i = tree.parent[i]) path.push(tree.names[tree.name[i]]);
  return path.reverse();
}

/** The node at the end of `path`; -1 where the tree does not go so far. */
export function exactPath(tree: Tree, path: string[]): number {
  const node = tree.n ? findPath(tree, path) : -1;
  return node >= 0 && tree.level[node] === path.length ? node : -1;
}

/** The node at the end of `path`, or as far along it as the tree goes. */
export function findPath(tree: Tree, path: string[]): number {
  let node = 0;
  for (const name of path) {
    let child = node + 1;
    while (child < tree.end[node] && tree.names[tree.name[child]] !== name) {
      child = tree.end[child];
    }
    if (child >= tree.end[node]) break;
    node = child;
  }
  return node;
}
