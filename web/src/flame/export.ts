// The graph as a picture that stands alone.

import type { Coloring } from "./colors";
import { fit, label, paint, ROW, sceneHeight, type Scene } from "./paint";
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

/** What XML cannot hold would make the whole file unreadable. */
function clean(text: string): string {
  return text.replace(/[^\t\n\r -\uD7FF\uE000-\uFFFD]/g, "\uFFFD");
}

export interface Picture {
  tree: Tree;
  coloring: Coloring;
  flame: boolean;
  title: string;
  describe(node: number): string[];
}

export function svg(picture: Picture): Blob {
  const { tree, coloring } = picture;
  const height = sceneHeight(tree) + 28;
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
  const scale = WIDTH / tree.sides[0]!.value[0]!;
  for (let i = 0; i < tree.n;) {
    const width = tree.sides[0]!.value[i]! * scale;
    if (width < 0.1) {
      i = tree.end[i]!;
      continue;
    }
    const row = picture.flame ? tree.depth - tree.level[i]! : tree.level[i]!;
    root.append(box(picture, i, tree.x[i]! * scale, 28 + row * ROW, width, coloring));
    i++;
  }
  return new Blob([new XMLSerializer().serializeToString(root)], { type: "image/svg+xml" });
}

function box(
  picture: Picture,
  node: number,
  x: number,
  y: number,
  width: number,
  coloring: Coloring,
): Element {
  const group = element("g", {});
  const fill = coloring.palette[coloring.index[node]!]!;
  const shown = Math.max(0.1, width - 0.75).toFixed(2);
  group.append(
    element("title", {}, clean(picture.describe(node).join("\n"))),
    element("rect", { x: x.toFixed(2), y, width: shown, height: ROW - 1, fill: hex(fill) }),
  );
  const name = picture.tree.names[picture.tree.name[node]!]!;
  const text = fit(clean(label(name)), (width - 7) / LETTER);
  if (text) group.append(element("text", { x: (x + 4).toFixed(2), y: y + 13 }, text));
  return group;
}

/** Readers of SVG outside browsers do not know `hsl()`. */
function hex(hsl: string): string {
  const [hue, saturation, light] = hsl.match(/[\d.]+/g)!.map(Number) as [number, number, number];
  const s = saturation / 100;
  const l = light / 100;
  const channel = (n: number) => {
    const k = (n + hue / 30) % 12;
    const value = l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

/** Twice the pixels, so that it stays sharp in a report; as tall as the canvas's limit allows. */
export function png(scene: Scene): Promise<Blob | null> {
  const height = Math.min(sceneHeight(scene.tree), 8000);
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH * 2;
  canvas.height = height * 2;
  const context = canvas.getContext("2d", { alpha: false })!;
  context.scale(2, 2);
  paint(context, { ...scene, hovered: -1, selected: -1 }, { width: WIDTH, height, top: 0 });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
