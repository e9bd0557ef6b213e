// Which fill a node is painted with.

import type { DiffColors } from "../state/address";
import { stateToken } from "../ui/states";
import type { Fill } from "./fills";
import type { Source } from "./flame_query";
import { frame, hash, isRest, type Kind } from "./frames";
import type { Tree } from "./tree";

export interface Coloring {
  palette: Fill[];
  /** Per node: index into `palette`. */
  index: Uint8Array;
}

/** By the chosen colours: those of a change, or those of frames. */
export function colorBy(by: string, tree: Tree, source: Source, leafFirst: boolean): Coloring {
  const { sides, groups, groupNames } = source;
  if (sides) return colorByChange(tree, sides.scale, by as DiffColors);
  if (by === "value") return colorByValue(tree);
  if (by === "name") return colorByName(tree);
  const apart = { levels: leafFirst ? 0 : groups, names: groupNames };
  const kinds = colorByKind(tree, apart);
  return source.states.length ? withStates(kinds, tree, apart, source.states) : kinds;
}

/** A state is no code: it is grey, with a strip of its colour, on which no text stands. */
function withStates(coloring: Coloring, tree: Tree, groups: Groups, states: string[]): Coloring {
  const palette = [...coloring.palette];
  const places = new Map<string, number>();
  tree.names.forEach((name, id) => {
    if (!groups.names[id] || name === tree.names[tree.name[0]]) return;
    const strip = stateToken(name, states);
    if (!strip) return;
    places.set(name, palette.length);
    palette.push({ token: "--k-root", strip });
  });
  const index = coloring.index.map((fill, i) =>
    i && isGroup(tree, i, groups) ? (places.get(tree.names[tree.name[i]]) ?? fill) : fill,
  );
  return { palette, index };
}

const KINDS: Record<Kind, Fill> = {
  kernel: { token: "--k-kernel" },
  user: { token: "--k-user" },
  library: { token: "--k-library" },
  interpreted: { token: "--k-interpreted" },
  jit: { token: "--k-jit" },
  unknown: { token: "--k-none", hatched: true },
  rest: { token: "--k-none" },
  group: { token: "--k-root" },
};
const KIND_ORDER = Object.keys(KINDS) as Kind[];
/** So that neighbours of one kind differ; most names have the full colour. */
const SHADES = [0, 0.1, 0.2];

export function kindFill(kind: Kind): Fill {
  return KINDS[kind];
}

function shadeOf(name: string): number {
  return Math.max(0, (hash(name) % 5) - SHADES.length + 1);
}

/** Nodes that are not frames: these levels below the root, and these names at any place. */
export interface Groups {
  levels: number;
  names: Uint8Array;
}

export function isGroup(tree: Tree, node: number, groups: Groups): boolean {
  return tree.level[node] <= groups.levels || groups.names[tree.name[node]] === 1;
}

export function colorByKind(tree: Tree, groups: Groups): Coloring {
  const palette = KIND_ORDER.flatMap((kind) => SHADES.map((pale) => ({ ...KINDS[kind], pale })));
  const byName = tree.names.map((name) => {
    return KIND_ORDER.indexOf(frame(name).kind) * SHADES.length + shadeOf(name);
  });
  const group = KIND_ORDER.indexOf("group") * SHADES.length;
  const rest = tree.names.map(isRest);
  const index = new Uint8Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    const name = tree.name[i];
    index[i] = isGroup(tree, i, groups) && !rest[name] ? group : byName[name];
  }
  return { palette, index };
}

/** Without a meaning: neighbours differ. */
function colorByName(tree: Tree): Coloring {
  const tokens = ["--k-user", "--k-interpreted", "--k-library", "--k-kernel"];
  const palette = tokens.flatMap((token) => [0, 0.12, 0.24, 0.36].map((pale) => ({ token, pale })));
  const byName = tree.names.map((name) => hash(name) % palette.length);
  return { palette, index: Uint8Array.from(tree.name, (name) => byName[name]) };
}

/** From no self at all to the most. */
export function valuePalette(): Fill[] {
  return ["--k-root", ...[1, 2, 3, 4, 5, 6, 7, 8].map((step) => `--h${step}`)].map((token) => ({
    token,
  }));
}

/** Stronger the more of the total a node itself, without its children, holds. */
function colorByValue(tree: Tree): Coloring {
  const palette = valuePalette();
  const self = tree.sides[0].self;
  let most = 0;
  for (let i = 0; i < tree.n; i++) most = Math.max(most, self[i]);
  const index = new Uint8Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    index[i] = most ? Math.round(Math.sqrt(self[i] / most) * (palette.length - 1)) : 0;
  }
  return { palette, index };
}

/** From here on a change is shown one step stronger: ratios of 1.17, 1.7, 3 and 9. */
const STEPS = [0.08, 0.25, 0.5, 0.8];

/** From less (index 0) over the same to more (the last). */
export function diffPalette(colors: DiffColors): Fill[] {
  const less = colors === "red-green" ? "--g-" : "--d-";
  const steps = [1, 2, 3, 4];
  const tokens = [
    ...steps.map((step) => `${less}${step}`).reverse(),
    "--d0",
    ...steps.map((step) => `--d${step}`),
  ];
  return tokens.map((token) => ({ token }));
}

/** The change of a node's weight, from -1 (gone) over 0 to 1 (new). */
export function change(before: number, after: number): number {
  const both = before + after;
  return both ? (after - before) / both : 0;
}

/** Sides 1 and 2 are before and after, already scaled to what is compared. The root has no colour. */
function colorByChange(tree: Tree, scale: [number, number], colors: DiffColors): Coloring {
  const before = tree.sides[1].value;
  const after = tree.sides[2].value;
  const index = new Uint8Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    const size = change(before[i] * scale[0], after[i] * scale[1]);
    const step = STEPS.filter((least) => Math.abs(size) >= least).length;
    index[i] = STEPS.length + Math.sign(size) * step;
  }
  const palette = [...diffPalette(colors), { token: "--k-root" }];
  if (tree.n) index[0] = palette.length - 1;
  return { palette, index };
}
