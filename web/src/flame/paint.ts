// Draws the visible part of a tree on a canvas.

import type { Coloring } from "./colors";
import { frame } from "./frames";
import type { Tree } from "./tree";

export const ROW = 18;
const FONT = '11.5px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace';
export const MATCH = "#c77dff";
/** Ancestors of the zoomed frame. */
export const ABOVE = "#c3c6cc";
// What matches a search, what does not, what lies above the zoom.
const EXTRA = [MATCH, "#a9adb5", ABOVE];
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

export function label(name: string): string {
  let text = labels.get(name);
  if (text === undefined) {
    if (labels.size > 200_000) labels.clear();
    text = frame(name).label;
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
  context.fillStyle = scene.background;
  context.fillRect(0, 0, view.width, view.height);
  if (!tree.n) return;
  const picture = Math.max(sceneHeight(tree), scene.flame ? view.height : 0);
  const boxes = collect(scene, view, picture);
  const colors = [...scene.coloring.palette, ...EXTRA];
  for (const [fill, rects] of boxes.fills.entries()) {
    if (!rects.length) continue;
    context.fillStyle = colors[fill]!;
    for (let k = 0; k < rects.length; k += 3) {
      const width = rects[k + 2]!;
      context.fillRect(rects[k]!, rects[k + 1]!, width > 3 ? width - 0.75 : width, ROW - 1);
    }
  }
  context.font = FONT;
  context.textBaseline = "middle";
  context.fillStyle = INK;
  write(context, scene, view, boxes.labels);
  outline(context, scene, view, picture, scene.hovered, 1);
  outline(context, scene, view, picture, scene.selected, 2);
}

/** Where a node lies; ancestors of the zoomed node span the whole width. */
export function span(scene: Scene, node: number, width: number): [number, number] {
  const { tree, zoom } = scene;
  if (node <= zoom && tree.end[node]! >= tree.end[zoom]!) return [0, width];
  const scale = perUnit(tree, zoom, width);
  return [(tree.x[node]! - tree.x[zoom]!) * scale, tree.sides[0]!.value[node]! * scale];
}

/** A side that lacks the zoomed frame has nothing to draw of it. */
function perUnit(tree: Tree, zoom: number, width: number): number {
  const value = tree.sides[0]!.value[zoom]!;
  return value ? width / value : 0;
}

interface Boxes {
  /** Per fill colour, the palette's and then EXTRA: x, y, width of each box. */
  fills: number[][];
  /** Node, x, y, width of each box that is wide enough to be named. */
  labels: number[];
}

function collect(scene: Scene, view: Frame2D, picture: number): Boxes {
  const { tree, zoom } = scene;
  const { x, end, level } = tree;
  const value = tree.sides[0]!.value;
  const count = scene.coloring.palette.length + EXTRA.length;
  const boxes: Boxes = { fills: Array.from({ length: count }, () => []), labels: [] };
  const scale = perUnit(tree, zoom, view.width);
  const left = x[zoom]!;
  const lastPixel = new Int32Array(tree.depth + 1).fill(-1);
  for (let i = 0; i < tree.n;) {
    const above = i < zoom && end[i]! >= end[zoom]!;
    let from = above ? 0 : (x[i]! - left) * scale;
    let width = above ? view.width : value[i]! * scale;
    const outside = from >= view.width || from + width <= 0 || width === 0;
    if (!above && (i < zoom || outside)) {
      i = end[i]!;
      continue;
    }
    if (width < 0.5) {
      const pixel = Math.floor(from);
      if (lastPixel[level[i]!] === pixel) {
        i = end[i]!;
        continue;
      }
      lastPixel[level[i]!] = pixel;
      from = pixel;
      width = 1;
    }
    const y = rowTop(scene, level[i]!, picture) - view.top;
    if (y > -ROW && y < view.height) {
      boxes.fills[fillOf(scene, i, above)]!.push(from, y, width);
      if (width > 24) boxes.labels.push(i, from, y, width);
    }
    i++;
  }
  return boxes;
}

function fillOf(scene: Scene, node: number, above: boolean): number {
  const { palette, index } = scene.coloring;
  if (scene.hits) return palette.length + (scene.hits[scene.tree.name[node]!] ? 0 : 1);
  return above ? palette.length + 2 : index[node]!;
}

/** What `paint` fills a node with. */
export function colorOf(scene: Scene, node: number): string {
  const { tree, zoom, coloring } = scene;
  const above = node < zoom && tree.end[node]! >= tree.end[zoom]!;
  return [...coloring.palette, ...EXTRA][fillOf(scene, node, above)]!;
}

function write(
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: Frame2D,
  named: number[],
): void {
  const letter = context.measureText("m").width;
  for (let k = 0; k < named.length; k += 4) {
    const from = Math.max(0, named[k + 1]!);
    const width = Math.min(view.width, named[k + 1]! + named[k + 3]!) - from;
    const text = fit(label(scene.tree.names[scene.tree.name[named[k]!]!]!), (width - 7) / letter);
    if (text) context.fillText(text, from + 4, named[k + 2]! + ROW / 2);
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
  const y = rowTop(scene, scene.tree.level[node]!, picture) - view.top;
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
