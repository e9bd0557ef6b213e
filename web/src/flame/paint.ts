// Draws the visible part of a tree on a canvas.

import { cssColor, themeColors } from "../ui/dom";
import { memo } from "../ui/memo";
import type { Coloring } from "./colors";
import { mix, paintOf, veiled, type Fill, type Paint } from "./fills";
import { fit } from "./fit";
import { plain } from "../ui/text";
import { frame } from "./frames";
import { Lines, pixelOf, type Extent } from "./lines";
import type { Metrics } from "./metrics";
import type { Tree } from "./tree";

/** The fills of nodes, and the texts beside their names. */
export interface Look {
  coloring: Coloring;
  /** The value at the right end of a node that is no frame; null for a frame. */
  aside: (node: number) => string | null;
  /** In a comparison: 1 for each node that only the second side has. */
  added: Uint8Array | null;
  /** The value at the right end of a frame, where it tells something; "" where it does not. */
  number?: (node: number) => string;
  /** Draws what stands where no box is. */
  beside?: (context: CanvasRenderingContext2D, scene: Scene, view: Frame2D, topOf: TopOf) => void;
}

export interface Scene extends Look, Metrics {
  tree: Tree;
  /** Per name: 1 where the search matches; null without a search. */
  hits: Uint8Array | null;
  zoom: number;
  selected: number;
  hovered: number;
  flame: boolean;
  /** The first level that is drawn: 1 where the root stands elsewhere. */
  first: number;
}

/** Where a level is in the picture as it is scrolled. */
export type TopOf = (level: number) => number;

export interface Frame2D {
  width: number;
  height: number;
  /** How far the picture is scrolled. */
  top: number;
}

const labels = new Map<string, string>();

/** A name without the suffix that marks its kind, as it is shown. */
export function label(name: string): string {
  let text = labels.get(name);
  if (text === undefined) {
    if (labels.size > 200_000) labels.clear();
    text = plain(frame(name).label);
    labels.set(name, text);
  }
  return text;
}

export function sceneHeight({ tree, row, first }: Pick<Scene, "tree" | "row" | "first">): number {
  return Math.max(1, tree.depth + 1 - first) * row;
}

/** The top of a level's row in the unscrolled picture. */
export function rowTop(scene: Scene, level: number, height: number): number {
  const line = level - scene.first;
  return scene.flame ? height - (line + 1) * scene.row : line * scene.row;
}

/** Narrower boxes have no name, and the narrowest no border and no pattern. */
const LEAST_NAMED = 22;
export const LEAST_MARKED = 5;
/** Rows that are no frames show their value from here on. */
export const LEAST_ASIDE = 120;
/** Left of a name, and right of a value. */
export const PADDING = 5;

export function paint(context: CanvasRenderingContext2D, scene: Scene, view: Frame2D): void {
  const { tree } = scene;
  const ratio = context.getTransform().a;
  const ground = cssColor("--ground");
  context.fillStyle = ground;
  context.fillRect(0, 0, view.width, view.height);
  if (!tree.n) return;
  const picture = Math.max(sceneHeight(scene), scene.flame ? view.height : 0);
  const border = { color: pixelOf(cssColor("--accent")), size: Math.round(1.5 * ratio) };
  const lines = new Lines(inSight(scene, view, picture, ratio), pixelOf(ground), ratio, border);
  const paints = allPaints(scene.coloring.palette, themeColors());
  const shown = collect(scene, view, lines, ratio, paints);
  const topOf: TopOf = (level) => rowTop(scene, level, picture) - view.top;
  lines.paint(context, scene.row - 1, topOf);
  decorate(context, scene, shown, topOf);
  context.textBaseline = "middle";
  write(context, scene, view, shown, paints, topOf);
  scene.beside?.(context, scene, view, topOf);
  outline(context, scene, view, scene.hovered, 1, topOf);
  outline(context, scene, view, scene.selected, 1.5, topOf);
}

/** Where a node lies; ancestors of the zoomed node span the whole width. */
export function span(scene: Scene, node: number, width: number): [number, number] {
  const { tree, zoom } = scene;
  if (node <= zoom && tree.end[node] >= tree.end[zoom]) return [0, width];
  const scale = perUnit(tree, zoom, width);
  return [(tree.x[node] - tree.x[zoom]) * scale, tree.sides[0].value[node] * scale];
}

/** Pixels per unit of value; 0 if the side does not have the zoomed frame. */
function perUnit(tree: Tree, zoom: number, width: number): number {
  const value = tree.sides[0].value[zoom];
  return value ? width / value : 0;
}

function inSight(scene: Scene, view: Frame2D, picture: number, ratio: number): Extent {
  const { flame, tree, row } = scene;
  const from = flame ? picture - view.top - view.height : view.top;
  const level = (y: number) => Math.min(tree.depth, Math.floor(y / row) + scene.first);
  const first = Math.max(0, level(from));
  const last = Math.max(first, level(from + view.height));
  return { width: Math.round(view.width * ratio), first, last };
}

/** Fills the lines; returns the nodes with a name or a pattern, each with its left edge and width. */
function collect(
  scene: Scene,
  view: Frame2D,
  lines: Lines,
  ratio: number,
  paints: Paint[],
): number[] {
  const { tree, zoom, hits: searched, coloring } = scene;
  const { x, end, level, name, parent } = tree;
  const { palette, index } = coloring;
  const value = tree.sides[0].value;
  const scale = perUnit(tree, zoom, view.width);
  const gap = Math.round(ratio) || 1;
  const colors = Uint32Array.from(paints, ({ fill }) => pixelOf(fill));
  const fillOf = filling(scene);
  const marked = palette.map(({ hatched, strip }) => (hatched || strip ? LEAST_MARKED : 0));
  const shown: number[] = [];
  const add = (i: number, from: number, width: number, fill: number, hit: boolean): boolean => {
    const [begin, stop] = [from * ratio, (from + width) * ratio];
    const found = hit && width > LEAST_MARKED;
    if (!lines.add(level[i], begin, stop, colors[fill], gap, found)) return false;
    if (width > (marked[index[i]] || LEAST_NAMED)) shown.push(i, from, width);
    return true;
  };
  const hits = (i: number) => searched !== null && searched[name[i]] === 1;
  for (let i = parent[zoom]; i >= 0; i = parent[i]) add(i, 0, view.width, fillOf(i), hits(i));
  const left = x[zoom];
  const last = end[zoom];
  for (let i = zoom; i < last;) {
    const from = (x[i] - left) * scale;
    const width = value[i] * scale;
    const hit = hits(i);
    const fill = index[i] + (searched && !hit ? palette.length : 0);
    const there = width > 0 && from < view.width && add(i, from, width, fill, hit);
    i = there ? i + 1 : end[i];
  }
  return shown;
}

/** The paints of the palette, the same veiled, and that of the ancestors of the zoomed frame. */
const allPaints = memo((palette: Fill[], _theme: object): Paint[] => {
  const plain = palette.map(paintOf);
  return [...plain, ...plain.map(veiled), paintOf({ token: "--k-root" })];
});

/** Which of the paints a node has. */
function filling(scene: Scene): (node: number) => number {
  const { tree, coloring, hits, zoom } = scene;
  const { name, end } = tree;
  const { palette, index } = coloring;
  const many = palette.length;
  if (hits) return (node) => index[node] + (hits[name[node]] ? 0 : many);
  return (node) => (node < zoom && end[node] >= end[zoom] ? 2 * many : index[node]);
}

/** The colours with which `paint` fills and names a node. */
export function paintsOf(scene: Scene): (node: number) => Paint {
  const paints = allPaints(scene.coloring.palette, themeColors());
  const fillOf = filling(scene);
  return (node) => paints[fillOf(node)];
}

/** The pattern of what has no symbol, and the strips of states. */
function decorate(
  context: CanvasRenderingContext2D,
  scene: Scene,
  shown: number[],
  topOf: TopOf,
): void {
  const { tree, coloring, row } = scene;
  const { palette, index } = coloring;
  if (!palette.some(({ hatched, strip }) => hatched || strip)) return;
  let pattern: CanvasPattern | null = null;
  for (let k = 0; k < shown.length; k += 3) {
    const { hatched, strip } = palette[index[shown[k]]];
    if (!hatched && !strip) continue;
    const top = topOf(tree.level[shown[k]]);
    const [from, width] = [shown[k + 1], shown[k + 2] - 1];
    if (hatched) {
      pattern ??= hatching(context);
      context.fillStyle = pattern ?? cssColor("--k-none");
      context.fillRect(from, top, width, row - 1);
    }
    if (strip) {
      context.fillStyle = cssColor(strip);
      context.fillRect(from, top + row - 1 - STRIP, width, STRIP);
    }
  }
}

export const STRIP = 4;
/** Between the lines of the pattern. */
export const HATCH = 6;

function hatching(context: CanvasRenderingContext2D): CanvasPattern | null {
  const tile = new OffscreenCanvas(HATCH, HATCH);
  const drawn = tile.getContext("2d");
  if (!drawn) return null;
  drawn.strokeStyle = cssColor("--ink-3");
  drawn.globalAlpha = 0.35;
  for (const from of [-HATCH, 0, HATCH]) {
    drawn.moveTo(from - 1, HATCH + 1);
    drawn.lineTo(from + HATCH + 1, -1);
  }
  drawn.stroke();
  return context.createPattern(tile, "repeat");
}

/** A node's name as it is written: what is new in a comparison does not need its colour. */
export function nameText({ tree, added }: Scene, node: number): string {
  const text = label(tree.names[tree.name[node]]);
  return added?.[node] ? `+ ${text}` : text;
}

function write(
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: Frame2D,
  shown: number[],
  paints: Paint[],
  topOf: TopOf,
): void {
  const { tree, row, font, bold } = scene;
  const fillOf = filling(scene);
  context.font = font;
  const letter = context.measureText("0").width;
  for (let k = 0; k < shown.length; k += 3) {
    const node = shown[k];
    const from = Math.max(0, shown[k + 1]);
    const width = Math.min(view.width, shown[k + 1] + shown[k + 2]) - from - 1;
    if (width < LEAST_NAMED) continue;
    const { fill, ink } = paints[fillOf(node)];
    const aside = scene.aside(node);
    const number = aside ?? scene.number?.(node) ?? "";
    const y = topOf(tree.level[node]) + row / 2;
    let letters = (width - 2 * PADDING + 1) / letter;
    const value = width > LEAST_ASIDE && number.length < letters / 2 ? number : "";
    if (value) {
      context.font = font;
      context.fillStyle = mix(ink, fill, 0.3);
      context.fillText(value, from + width - PADDING - value.length * letter, y);
      letters -= value.length + 1;
    }
    const text = fit(nameText(scene, node), letters);
    if (!text) continue;
    context.font = aside === null ? font : bold;
    context.fillStyle = ink;
    context.fillText(text, from + PADDING, y);
  }
}

function outline(
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: Frame2D,
  node: number,
  line: number,
  topOf: TopOf,
): void {
  if (node < 0 || node >= scene.tree.n) return;
  const [from, width] = span(scene, node, view.width);
  if (from + width < 0 || from > view.width) return;
  const left = Math.max(0, from);
  const right = Math.min(view.width, from + width);
  const size = Math.max(2, right - left - (width > 3 ? 1 : 0) - line);
  const top = topOf(scene.tree.level[node]);
  context.strokeStyle = cssColor("--ink");
  context.lineWidth = line;
  context.beginPath();
  context.roundRect(left + line / 2, top + line / 2, size, scene.row - 1 - line, 2);
  context.stroke();
}
