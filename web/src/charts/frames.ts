// Draws over plots: the selection and the baseline, markers, and the line at the pointer.

import type { Marker } from "../../generated/types";
import type { Box } from "../state/address";
import { cssColor } from "../ui/dom";
import { axisFont, xOfTime, type Canvas, type Times } from "./drawing";
import type { Plot } from "./plot";
import type { Range } from "./steps";

/** A part of a surface, in pixels. */
export interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const BADGE = 15;
const HANDLE = 16;
const VEIL = 0.55;

/** The plots as one frame: between two times, or all. */
function around(plots: Plot[], times: Times, range: Range = times): Frame | null {
  const [first, last] = [plots[0], plots.at(-1)];
  if (!first || !last) return null;
  const { area } = first;
  const xOf = xOfTime(area, times);
  const [from, to] = [Math.max(range.from, times.from), Math.min(range.to, times.to)];
  if (!(to > from)) return null;
  const bottom = last.top + last.area.height;
  return { left: xOf(from), right: xOf(to), top: first.top, bottom };
}

/** The rows of a box as a frame, on the plot that has its column. */
function rowsFrame(plot: Plot, box: Box, { left, right }: Frame): Frame | null {
  const slots = plot.drawing?.slots;
  const { low, high } = box;
  if (slots?.column !== box.column || low === null || high === null) return null;
  const { lower } = slots;
  const place = (size: number) => {
    const above = lower.findIndex((bound) => bound >= size);
    return above < 0 ? lower.length : above;
  };
  const yOf = (size: number) => plot.top + plot.area.height * (1 - place(size) / lower.length);
  return { left, right, top: yOf(high), bottom: yOf(low) };
}

/** One frame over all plots; or one on each, if the box has bounds of a size that one of them shows. */
export function framesOf(plots: Plot[], times: Times, box: Box): Frame[] {
  const whole = around(plots, times, box);
  if (!whole) return [];
  const rows = plots.map((plot) => rowsFrame(plot, box, whole));
  if (!rows.some(Boolean)) return [whole];
  return plots.map(
    (plot, k) => rows[k] ?? { ...whole, top: plot.top, bottom: plot.top + plot.area.height },
  );
}

export function baseFrame(plots: Plot[], times: Times, base: Range): Frame | null {
  return around(plots, times, base);
}

export interface Shown {
  box: Box | null;
  base: Range | null;
  markers: Marker[];
  /** Where the pointer is, unless it drags. */
  pointer: number | null;
  /** The first corner of a box. */
  anchor: { x: number; y: number } | null;
}

export function paintOver(canvas: Canvas, plots: Plot[], times: Times, shown: Shown): void {
  const all = around(plots, times);
  if (!all) return;
  const frames = shown.box ? framesOf(plots, times, shown.box) : [];
  const base = shown.base && baseFrame(plots, times, shown.base);
  if (frames.length) veil(canvas, all, base ? [...frames, base] : frames);
  paintMarkers(canvas, all, xOfTime(plots[0].area, times), shown.markers, times);
  if (base) paintFrame(canvas, base, true);
  for (const frame of frames) paintFrame(canvas, frame, false);
  if (frames[0]) paintHandles(canvas, frames);
  if (base) {
    badge(canvas, base, "A", false);
    badge(canvas, frames[0] ?? all, "B", true);
  }
  paintPointer(canvas, all, shown);
}

function veil(canvas: Canvas, all: Frame, free: Frame[]): void {
  canvas.save();
  canvas.beginPath();
  rectangle(canvas, all);
  for (const frame of free) rectangle(canvas, frame);
  canvas.globalAlpha = VEIL;
  canvas.fillStyle = cssColor("--ground");
  // Where A and B overlap, both are free all the same.
  if (free.length < 2 || !overlap(free)) canvas.fill("evenodd");
  canvas.restore();
}

function overlap(frames: Frame[]): boolean {
  return frames.some((one, k) =>
    frames.some(
      (two, j) =>
        j > k &&
        one.left < two.right &&
        two.left < one.right &&
        one.top < two.bottom &&
        two.top < one.bottom,
    ),
  );
}

function rectangle(canvas: Canvas, { left, right, top, bottom }: Frame): void {
  canvas.rect(left, top, right - left, bottom - top);
}

function paintFrame(canvas: Canvas, { left, right, top, bottom }: Frame, dashed: boolean): void {
  canvas.save();
  canvas.strokeStyle = cssColor(dashed ? "--ink-2" : "--ink");
  canvas.lineWidth = dashed ? 1 : 1.5;
  if (dashed) canvas.setLineDash([3, 3]);
  const x = Math.round(left) + 0.5;
  canvas.strokeRect(x, top - 0.5, Math.max(1, Math.round(right - left)), bottom - top + 1);
  canvas.restore();
}

function paintHandles(canvas: Canvas, frames: Frame[]): void {
  canvas.fillStyle = cssColor("--ink");
  for (const { left, right, top, bottom } of frames) {
    const height = Math.min(HANDLE, bottom - top);
    for (const x of [left, right]) {
      canvas.beginPath();
      canvas.roundRect(Math.round(x) - 1.5, (top + bottom - height) / 2, 4, height, 2);
      canvas.fill();
    }
  }
}

function badge(canvas: Canvas, { left, top }: Frame, letter: string, solid: boolean): void {
  const [x, y] = [Math.round(left) + 5, top + 3];
  canvas.save();
  canvas.font = `700 ${axisFont()}`;
  canvas.beginPath();
  canvas.roundRect(x, y, BADGE, BADGE, 3);
  canvas.fillStyle = cssColor(solid ? "--ink" : "--ground");
  canvas.fill();
  canvas.strokeStyle = cssColor("--ink-2");
  if (!solid) canvas.stroke();
  canvas.fillStyle = cssColor(solid ? "--ground" : "--ink");
  canvas.textAlign = "center";
  canvas.textBaseline = "middle";
  canvas.fillText(letter, x + BADGE / 2, y + BADGE / 2 + 0.5);
  canvas.restore();
}

function paintMarkers(
  canvas: Canvas,
  { bottom }: Frame,
  xOf: (time: number) => number,
  markers: Marker[],
  { from, to }: Range,
): void {
  canvas.fillStyle = cssColor("--accent");
  for (const { time } of markers) {
    if (time >= from && time <= to) canvas.fillRect(Math.round(xOf(time)), 0, 1, bottom);
  }
}

function paintPointer(canvas: Canvas, all: Frame, { pointer, anchor }: Shown): void {
  canvas.fillStyle = cssColor("--ink-3");
  if (pointer !== null && pointer >= all.left && pointer <= all.right) {
    canvas.fillRect(Math.round(pointer), all.top, 1, all.bottom - all.top);
  }
  if (!anchor) return;
  canvas.fillStyle = cssColor("--ink");
  canvas.fillRect(Math.round(anchor.x) - 6, Math.round(anchor.y), 13, 1);
  canvas.fillRect(Math.round(anchor.x), Math.round(anchor.y) - 6, 1, 13);
}
