// The graph as a picture that stands alone.

import { context2d, hexColor } from "../ui/canvas";
import { cssColor } from "../ui/dom";
import type { Paint } from "./fills";
import { fit } from "./fit";
import { metrics } from "./metrics";
import {
  HATCH,
  nameText,
  paint,
  paintsOf,
  rowTop,
  sceneHeight,
  span,
  STRIP,
  type Look,
  type Scene,
} from "./paint";
import type { Tree } from "./tree";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1400;
/** How wide a letter is, as a part of the font's size. */
const LETTER = 0.605;

function element(name: string, attributes: Record<string, string | number>, text = ""): Element {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text) made.textContent = text;
  return made;
}

/** Remove characters that XML forbids: they would make the whole file unreadable. */
function clean(text: string): string {
  return text.replace(/[^\t\n\r -\uD7FF\uE000-\uFFFD]/g, "\uFFFD");
}

export interface Picture {
  tree: Tree;
  look: Look;
  /** Per name: 1 where the search matches; null without a search. */
  hits: Uint8Array | null;
  zoom: number;
  flame: boolean;
  title: string;
  describe(node: number): string[];
}

function sceneOf(picture: Picture): Scene {
  const { tree, look, hits, zoom, flame } = picture;
  return { tree, ...look, hits, zoom, flame, first: 0, selected: -1, hovered: -1, ...metrics() };
}

const TOP = 28;

export function svg(picture: Picture): Blob {
  const { tree, zoom } = picture;
  const scene = sceneOf(picture);
  const height = sceneHeight(scene) + TOP;
  const root = element("svg", {
    xmlns: SVG,
    viewBox: `0 0 ${WIDTH} ${height}`,
    width: WIDTH,
    height,
    "font-family": "monospace",
    "font-size": scene.size,
  });
  const [ground, ink] = ["--ground", "--ink"].map((token) => hexColor(cssColor(token)));
  root.append(hatching(), element("rect", { width: WIDTH, height, fill: ground }));
  root.append(element("text", { x: 4, y: 18, "font-size": 14, fill: ink }, clean(picture.title)));
  const painted = paintsOf(scene);
  for (let i = 0; i < tree.n;) {
    const above = i <= zoom && tree.end[i] >= tree.end[zoom];
    const [x, width] = span(scene, i, WIDTH);
    const inside = above || (i > zoom && i < tree.end[zoom]);
    if (!inside || width < 0.1) {
      i = tree.end[i];
      continue;
    }
    root.append(box(picture, scene, i, x, width, painted(i)));
    i++;
  }
  return new Blob([new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" });
}

function box(
  picture: Picture,
  scene: Scene,
  node: number,
  x: number,
  width: number,
  { fill, ink }: Paint,
): Element {
  const { tree, row, size, coloring } = scene;
  const group = element("g", {});
  const y = TOP + rowTop(scene, tree.level[node], sceneHeight(scene));
  const shown = Math.max(0.1, width - (width > 3 ? 1 : 0)).toFixed(2);
  const place = { x: x.toFixed(2), y, width: shown, height: row - 1 };
  const { hatched, strip } = coloring.palette[coloring.index[node]];
  const round = width > 6 ? { rx: 2 } : {};
  group.append(
    element("title", {}, clean(picture.describe(node).join("\n"))),
    element("rect", { ...place, ...round, fill }),
  );
  if (hatched && width > 3) group.append(element("rect", { ...place, fill: "url(#hatch)" }));
  if (strip) {
    const lower = { y: y + row - 1 - STRIP, height: STRIP, fill: hexColor(cssColor(strip)) };
    group.append(element("rect", { ...place, ...lower }));
  }
  const letters = (width - 10) / (LETTER * size);
  const text = fit(clean(nameText(scene, node)), letters);
  const bold: Record<string, number> = scene.aside(node) === null ? {} : { "font-weight": 600 };
  const at = { x: (x + 5).toFixed(2), y: y + row / 2 + size * 0.33, fill: ink, ...bold };
  if (text) group.append(element("text", at, text));
  const value = scene.aside(node);
  if (value && letters > text.length + value.length + 3) {
    const right = { x: (x + width - 6).toFixed(2), "text-anchor": "end", "fill-opacity": 0.7 };
    group.append(element("text", { ...at, "font-weight": 400, ...right }, clean(value)));
  }
  return group;
}

/** The pattern of frames without a symbol. */
function hatching(): Element {
  const half = HATCH / 2;
  const line = `M-1 1l2-2M0 ${HATCH}l${HATCH}-${HATCH}M${HATCH - 1} ${HATCH + 1}l2-2`;
  const pattern = element("pattern", {
    id: "hatch",
    width: HATCH,
    height: HATCH,
    patternUnits: "userSpaceOnUse",
    x: half,
  });
  const stroke = { stroke: hexColor(cssColor("--ink-3")), "stroke-opacity": 0.35, fill: "none" };
  pattern.append(element("path", { d: line, ...stroke }));
  return pattern;
}

/** Twice the pixels, so that it stays sharp in a report; as tall as the canvas's limit allows. */
export function png(picture: Picture): Promise<Blob | null> {
  const scene = sceneOf(picture);
  const height = Math.min(sceneHeight(scene), 8000);
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH * 2;
  canvas.height = height * 2;
  const context = context2d(canvas);
  context.scale(2, 2);
  paint(context, scene, { width: WIDTH, height, top: 0 });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
