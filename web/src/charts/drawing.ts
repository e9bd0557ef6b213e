// The parts that all charts have in common: places on a canvas, and an answer that is ready to be drawn.

import { cssColor } from "../ui/dom";
import type { Zone } from "../ui/format";
import type { Range } from "./steps";

export type Canvas = CanvasRenderingContext2D;
export type Place = (value: number) => number;

/** Where marks are drawn; their canvas also has room for the texts of both axes. */
export interface Area {
  left: number;
  width: number;
  height: number;
}

/** A text of the y axis; `y` is its middle. */
export interface AxisText {
  text: string;
  y: number;
}

/** The range of a plot, in microseconds, and the zone of its texts. */
export interface Times extends Range {
  zone: Zone;
}

/** The content of a tooltip: a title, and a line for each value. */
export interface Told {
  title: string;
  lines: { color?: string; value: string; name?: string; near?: boolean }[];
}

/** Rows of sizes, upward: row `r` begins at `lower[r]`, and `upper` ends the last. */
export interface Slots {
  column: string;
  lower: number[];
  upper: number;
}

/** An answer that is ready to be drawn. */
export interface Drawing {
  /** Whether a time axis belongs below it. */
  timed: boolean;
  /** The texts of the y axis. */
  axis(area: Area): AxisText[];
  paint(canvas: Canvas, area: Area, times: Times): void;
  /** Null beside the marks. */
  at(x: number, y: number, area: Area, times: Times): Told | null;
  legend(): HTMLElement[];
  /** Moments widened to what is drawn around them, if it has steps. */
  around?(one: number, other: number): Range;
  slots?: Slots;
}

/** Between the texts of an axis and the axis. */
export const GAP = 6;

/** Where a time is drawn, in pixels. */
export function xOfTime({ left, width }: Area, { from, to }: Range): Place {
  return (time) => left + ((time - from) * width) / (to - from);
}

/** The time at a place, within the range. */
export function timeAt(x: number, { left, width }: Area, { from, to }: Range): number {
  return from + Math.max(0, Math.min(1, (x - left) / width)) * (to - from);
}

/** The row at a height of the plot. */
export function slotAt(y: number, { height }: Area, slots: number): number {
  return Math.max(0, Math.min(slots - 1, Math.floor((1 - y / height) * slots)));
}

/** A length or a text of the style sheet. */
export function cssValue(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function axisFont(): string {
  return `${cssValue("--t-axis")} ${cssValue("--mono")}`;
}

/** Draws on a part of a plot only. */
export function paintInside(
  canvas: Canvas,
  area: Area,
  part: Area,
  drawing: Drawing,
  times: Times,
): void {
  canvas.save();
  canvas.beginPath();
  canvas.rect(part.left, 0, part.width, part.height);
  canvas.clip();
  drawing.paint(canvas, area, times);
  canvas.restore();
}

/** The texts below a plot, as many as do not touch, with a title on their left. */
export function paintTexts(
  canvas: Canvas,
  area: Area,
  texts: { x: number; text: string }[],
  title = "",
): void {
  canvas.fillStyle = cssColor("--ink-3");
  canvas.textBaseline = "top";
  canvas.textAlign = "right";
  canvas.fillText(title, area.left - GAP, area.height + 6);
  canvas.textAlign = "center";
  let end = area.left - GAP;
  for (const { x, text } of texts) {
    canvas.fillRect(Math.round(x), area.height, 1, 3);
    const half = canvas.measureText(text).width / 2;
    const inside = Math.max(area.left + half, Math.min(x, area.left + area.width - half));
    // At an edge a text is moved inside, where another may be.
    if (inside - half < end + GAP) continue;
    canvas.fillText(text, inside, area.height + 6);
    end = inside + half;
  }
  canvas.textAlign = "left";
}
