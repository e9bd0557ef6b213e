// The part of a zoomed frame in which it called nothing, as a gap beside what it calls.

import { cssColor } from "../ui/dom";
import { fit } from "./fit";
import { LEAST_ASIDE, LEAST_MARKED, PADDING, type Frame2D, type Scene, type TopOf } from "./paint";

const OWN = "self";

/** The zoomed frame's own part, dashed, as what it calls is as wide as the rest of it. */
export function drawOwn(
  own: (node: number) => string,
  context: CanvasRenderingContext2D,
  scene: Scene,
  view: Frame2D,
  topOf: TopOf,
): void {
  const { tree, zoom, row, font } = scene;
  const { value, self } = tree.sides[0];
  const width = value[zoom] ? (view.width * self[zoom]) / value[zoom] : 0;
  if (width < LEAST_MARKED) return;
  const [left, top] = [view.width - width, topOf(tree.level[zoom] + 1)];
  context.save();
  context.setLineDash([2, 3]);
  context.lineWidth = 1;
  context.strokeStyle = context.fillStyle = cssColor("--ink-3");
  context.beginPath();
  context.roundRect(left + 0.5, top + 0.5, width - 1.5, row - 2, 2);
  context.stroke();
  context.font = font;
  const text = fit(OWN, (width - 2 * PADDING) / context.measureText("0").width);
  context.fillText(text, left + PADDING, top + row / 2);
  context.textAlign = "right";
  const amount = width > LEAST_ASIDE ? own(zoom) : "";
  context.fillText(amount, view.width - PADDING - 1, top + row / 2);
  context.restore();
}
