// The graph as a picture that stands alone.

import { context2d, hexColor } from "../ui/canvas";
import type { Coloring } from "./colors";
import { colorOf, fit, label, paint, ROW, rowTop, sceneHeight, span, type Scene } from "./paint";
import type { Tree } from "./tree";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1400;
const LETTER = 6.95;

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
  coloring: Coloring;
  /** Per name: 1 where the search matches; null without a search. */
  hits: Uint8Array | null;
  zoom: number;
  flame: boolean;
  title: string;
  describe(node: number): string[];
}

function sceneOf(picture: Picture): Scene {
  const { tree, coloring, hits, zoom, flame } = picture;
  const plain = { selected: -1, hovered: -1, background: "#ffffff", accent: "#000000" };
  return { tree, coloring, hits, zoom, flame, ...plain };
}

const TOP = 28;

export function svg(picture: Picture): Blob {
  const { tree, zoom } = picture;
  const scene = sceneOf(picture);
  const height = sceneHeight(tree) + TOP;
  const root = element("svg", {
    xmlns: SVG,
    viewBox: `0 0 ${WIDTH} ${height}`,
    width: WIDTH,
    height,
    "font-family": "monospace",
    "font-size": 11.5,
  });
  root.append(element("rect", { width: WIDTH, height, fill: "#fff" }));
  root.append(element("text", { x: 4, y: 18, "font-size": 14 }, clean(picture.title)));
  for (let i = 0; i < tree.n;) {
    const above = i <= zoom && tree.end[i] >= tree.end[zoom];
    const [x, width] = span(scene, i, WIDTH);
    const inside = above || (i > zoom && i < tree.end[zoom]);
    if (!inside || width < 0.1) {
      i = tree.end[i];
      continue;
    }
    root.append(box(picture, scene, i, x, width));
    i++;
  }
  return new Blob([new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" });
}

function box(picture: Picture, scene: Scene, node: number, x: number, width: number): Element {
  const { tree } = scene;
  const group = element("g", {});
  const shown = Math.max(0.1, width - 0.75).toFixed(2);
  const y = TOP + rowTop(scene, tree.level[node], sceneHeight(tree));
  group.append(
    element("title", {}, clean(picture.describe(node).join("\n"))),
    element("rect", {
      x: x.toFixed(2),
      y,
      width: shown,
      height: ROW - 1,
      fill: hexColor(colorOf(scene, node)),
    }),
  );
  const text = fit(clean(label(tree.names[tree.name[node]])), (width - 7) / LETTER);
  if (text) group.append(element("text", { x: (x + 4).toFixed(2), y: y + 13 }, text));
  return group;
}

/** Twice the pixels, so that it stays sharp in a report; as tall as the canvas's limit allows. */
export function png(picture: Picture): Promise<Blob | null> {
  const scene = sceneOf(picture);
  const height = Math.min(sceneHeight(scene.tree), 8000);
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH * 2;
  canvas.height = height * 2;
  const context = context2d(canvas);
  context.scale(2, 2);
  paint(context, scene, { width: WIDTH, height, top: 0 });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
