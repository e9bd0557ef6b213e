// Which palette entry a node is painted with. Fills are light enough for dark text in both themes.

import type { DiffColors } from "../state/address";
import type { Source } from "./flame_query";
import { frame, hash, isRest, type Kind } from "./frames";
import type { Tree } from "./tree";

export interface Coloring {
  palette: string[];
  /** Per node: index into `palette`. */
  index: Uint8Array;
}

/** By the chosen colours: those of a change, or those of frames. */
export function colorBy(by: string, tree: Tree, source: Source, leafFirst: boolean): Coloring {
  const { scale, groups, groupNames } = source;
  if (scale) return colorByChange(tree, scale, by as DiffColors);
  if (by === "value") return colorByValue(tree);
  if (by === "name") return colorByName(tree);
  return colorByKind(tree, { levels: leafFirst ? 0 : groups, names: groupNames });
}

const SHADES = 4;
const KINDS: Record<Kind, [number, number, number]> = {
  user: [36, 86, 60],
  kernel: [205, 66, 67],
  library: [160, 40, 58],
  unknown: [0, 0, 68],
  rest: [285, 24, 74],
  group: [230, 16, 76],
};
const KIND_ORDER = Object.keys(KINDS) as Kind[];

export function kindColor(kind: Kind, shade = 1): string {
  const [hue, saturation, light] = KINDS[kind];
  return `hsl(${hue} ${saturation}% ${light + shade * 3}%)`;
}

/** Nodes that are not frames: these levels below the root, and these names at any place. */
export interface Groups {
  levels: number;
  names: Uint8Array;
}

export function colorByKind(tree: Tree, groups: Groups): Coloring {
  const palette = KIND_ORDER.flatMap((kind) =>
    Array.from({ length: SHADES }, (_, shade) => kindColor(kind, shade)),
  );
  const byName = tree.names.map((name) => {
    return KIND_ORDER.indexOf(frame(name).kind) * SHADES + (hash(name) % SHADES);
  });
  const group = KIND_ORDER.indexOf("group") * SHADES + 1;
  const rest = tree.names.map(isRest);
  const index = new Uint8Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    const name = tree.name[i];
    const grouped = tree.level[i] <= groups.levels || groups.names[name];
    index[i] = grouped && !rest[name] ? group : byName[name];
  }
  return { palette, index };
}

function colorByName(tree: Tree): Coloring {
  const steps = 48;
  const palette = Array.from({ length: steps }, (_, step) => {
    return `hsl(${8 + step} 82% ${61 + (step % 5) * 2}%)`;
  });
  const byName = tree.names.map((name) => hash(name) % steps);
  return { palette, index: Uint8Array.from(tree.name, (name) => byName[name]) };
}

const VALUE_STEPS = 24;

/** From no self at all to the most. */
export function valuePalette(): string[] {
  return Array.from({ length: VALUE_STEPS }, (_, step) => {
    const t = step / (VALUE_STEPS - 1);
    return `hsl(${52 - 40 * t} ${70 + 15 * t}% ${90 - 30 * t}%)`;
  });
}

/** Stronger the more of the total a node itself, without its children, holds. */
function colorByValue(tree: Tree): Coloring {
  const palette = valuePalette();
  const self = tree.sides[0].self;
  let most = 0;
  for (let i = 0; i < tree.n; i++) most = Math.max(most, self[i]);
  const index = new Uint8Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    index[i] = most ? Math.round(Math.sqrt(self[i] / most) * (VALUE_STEPS - 1)) : 0;
  }
  return { palette, index };
}

const DIFF_STEPS = 10;

/** From fallen (index 0) over unchanged to risen (the last). */
export function diffPalette(colors: DiffColors): string[] {
  const down = colors === "red-green" ? 140 : 214;
  return Array.from({ length: 2 * DIFF_STEPS + 1 }, (_, step) => {
    const change = (step - DIFF_STEPS) / DIFF_STEPS;
    const size = Math.abs(change);
    const hue = change > 0 ? 8 : down;
    return `hsl(${hue} ${Math.round(12 + 56 * size)}% ${Math.round(84 - 22 * size)}%)`;
  });
}

/** The change of a node's weight, from -1 (vanished) over 0 to 1 (appeared). */
export function change(before: number, after: number): number {
  const both = before + after;
  return both ? (after - before) / both : 0;
}

/** Sides 1 and 2 are before and after, already scaled to what is compared. */
function colorByChange(tree: Tree, scale: [number, number], colors: DiffColors): Coloring {
  const before = tree.sides[1].value;
  const after = tree.sides[2].value;
  const index = new Uint8Array(tree.n);
  for (let i = 0; i < tree.n; i++) {
    const size = change(before[i] * scale[0], after[i] * scale[1]);
    index[i] = Math.round((Math.sign(size) * Math.abs(size) ** 0.7 + 1) * DIFF_STEPS);
  }
  return { palette: diffPalette(colors), index };
}
