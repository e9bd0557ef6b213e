// Draws the visible part of a tree on a canvas.

import type { Coloring } from "./colors";
import { plain } from "../ui/text";
import { frame } from "./frames";
import { Lines, pixelOf, type Extent } from "./lines";
import type { Tree } from "./tree";

export const ROW = 18;
const FONT = '11.5px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace';
export const MATCH = "#c77dff";
/** Ancestors of the zoomed frame. */
export const ABOVE = "#c3c6cc";
/** Frames that do not match the search. */
const OTHER = "#a9adb5";
const INK = "#16181d";

export interface Scene {
  tree: Tree;
  coloring: Coloring;
  /** Per name: 1 where the search matches; null without a search. */
  hits: Uint8Array | null;
  zoom: number;
  selected: number;
  hovered: number;
  flame: boolean;
  background: string;
  accent: string;
}

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

export function sceneHeight(tree: Tree): number {
  return (tree.depth + 1) * ROW;
}

/** The top of a level's row in the unscrolled picture. */
export function rowTop(scene: Scene, level: number, height: number): number {
  return scene.flame ? height - (level + 1) * ROW : level * ROW;
}

export function paint(context: CanvasRenderingContext2D, scene: Scene, view: Frame2D): void {
  const { tree } = scene;
  const ratio = context.getTransform().a;
  context.fillStyle = scene.background;
  context.fillRect(0, 0, view.width, view.height);
  if (!tree.n) return;
  const picture = Math.max(sceneHeight(tree), scene.flame ? view.height : 0);
  const lines = new Lines(inSight(scene, view, picture, ratio), pixelOf(scene.background));
  const colors = fills(scene).map(pixelOf);
  const named = collect(scene, view, lines, ratio, colors);
  lines.paint(context, ratio, ROW - 1, (level) => rowTop(scene, level, picture) - view.top);
  context.font = FONT;
  context.textBaseline = "middle";
  context.fillStyle = INK;
  write(context, scene, view, picture, named);
  outline(context, scene, view, picture, scene.hovered, 1);
  outline(context, scene, view, picture, scene.selected, 2);
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
  const { flame, tree } = scene;
  const from = flame ? picture - view.top - view.height : view.top;
  const first = Math.max(0, Math.min(tree.depth, Math.floor(from / ROW)));
  const last = Math.max(first, Math.min(tree.depth, Math.floor((from + view.height) / ROW)));
  return { width: Math.round(view.width * ratio), first, last };
}

/** Fills the lines; the nodes that are wide enough to be named, each with its left edge and width. */
function collect(
  scene: Scene,
  view: Frame2D,
  lines: Lines,
  ratio: number,
  colors: number[],
): number[] {
  const { tree, zoom } = scene;
  const { n, x, end, level } = tree;
  const value = tree.sides[0].value;
  const scale = perUnit(tree, zoom, view.width);
  const left = x[zoom];
  const gap = Math.round(0.75 * ratio) || 1;
  const fillOf = filling(scene);
  const named: number[] = [];
  for (let i = 0; i < n;) {
    const above = i < zoom && end[i] >= end[zoom];
    const from = above ? 0 : (x[i] - left) * scale;
    const width = above ? view.width : value[i] * scale;
    const outside = from >= view.width || from + width <= 0 || width === 0;
    const hidden = !above && (i < zoom || outside);
    if (
      hidden ||
      !lines.add(level[i], from * ratio, (from + width) * ratio, colors[fillOf(i)], gap)
    ) {
      i = end[i];
      continue;
    }
    if (width > 24) named.push(i, from, width);
    i++;
  }
  return named;
}

function fills(scene: Scene): string[] {
  return [...scene.coloring.palette, MATCH, OTHER, ABOVE];
}

/** Which of the fills a node has. */
function filling(scene: Scene): (node: number) => number {
  const { tree, coloring, hits, zoom } = scene;
  const { name, end } = tree;
  const { palette, index } = coloring;
  if (hits) return (node) => palette.length + (hits[name[node]] ? 0 : 1);
  return (node) => (node < zoom && end[node] >= end[zoom] ? palette.length + 2 : index[node]);
}

/** The colour with which `paint` fills a node. */
export function colorOf(scene: Scene, node: number): string {
  return fills(scene)[filling(scene)(node)];
}

function write(
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: Frame2D,
  picture: number,
  named: number[],
): void {
  const { tree } = scene;
  const letter = context.measureText("m").width;
  for (let k = 0; k < named.length; k += 3) {
    const node = named[k];
    const from = Math.max(0, named[k + 1]);
    const width = Math.min(view.width, named[k + 1] + named[k + 2]) - from;
    const text = fit(label(tree.names[tree.name[node]]), (width - 7) / letter);
    const y = rowTop(scene, tree.level[node], picture) - view.top + ROW / 2;
    if (text) context.fillText(text, from + 4, y);
  }
}

export function fit(text: string, letters: number): string {
  const room = Math.floor(letters);
  if (text.length <= room) return text;
  return room < 3 ? "" : `${text.slice(0, room - 1)}…`;
}

function outline(
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: Frame2D,
  picture: number,
  node: number,
  line: number,
): void {
  if (node < 0 || node >= scene.tree.n) return;
  const [from, width] = span(scene, node, view.width);
  if (from + width < 0 || from > view.width) return;
  const y = rowTop(scene, scene.tree.level[node], picture) - view.top;
  context.strokeStyle = line === 2 ? scene.accent : INK;
  context.lineWidth = line;
  const left = Math.max(0, from);
  const right = Math.min(view.width, from + width);
  context.strokeRect(
    left + line / 2,
    y + line / 2 - 0.5,
    Math.max(2, right - left - line),
    ROW - line,
  );
}
