// A plot on a canvas: its axes, its tooltip and the drag on it.

import { sized, Tip } from "../ui/canvas";
import { cssColor, h, perFrame } from "../ui/dom";
import { dateTime, zoneName, type Zone } from "../ui/format";
import { GAP, type Gutter } from "../ui/gutter";
import { timeTicks } from "./ticks";

const RIGHT = 8;
const AXIS = 16;

export interface Area {
  left: number;
  width: number;
  height: number;
}

/** A place on the canvas, in pixels. */
export interface Point {
  x: number;
  y: number;
}

export interface Drag {
  from: Point;
  to: Point;
  shift: boolean;
}

/** A text of the y axis; `y` is its middle. */
export interface AxisText {
  text: string;
  y: number;
}

export interface PlotEvents {
  /** The texts of the y axis. */
  axis(area: Area): AxisText[];
  paint(context: CanvasRenderingContext2D, area: Area): void;
  /** The lines of the tooltip at a place between the ends of the x axis. */
  hover(point: Point): string[];
  /** A finished drag; a plot without it is only looked at. */
  dragged?(drag: Drag): void;
  clicked?(point: Point): void;
  cancel?(): void;
}

export class Plot {
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  private readonly tip = new Tip();
  dragging: Drag | null = null;
  /** Where the pointer is; null if it is elsewhere. */
  pointer: Point | null = null;
  readonly redraw = perFrame(() => this.paint());

  constructor(
    name: string,
    private readonly gutter: Gutter,
    private readonly events: PlotEvents,
  ) {
    const tabindex = events.dragged ? 0 : undefined;
    this.canvas = h("canvas", { role: "img", "aria-label": name, tabindex });
    this.element = h("div.plot", this.canvas, this.tip.element);
    new ResizeObserver(this.redraw).observe(this.element);
    this.element.addEventListener("repaint", this.redraw);
    this.listen();
  }

  get area(): Area {
    const { clientWidth, clientHeight } = this.element;
    const left = this.gutter.width;
    return {
      left,
      width: Math.max(1, clientWidth - left - RIGHT),
      height: Math.max(1, clientHeight - AXIS),
    };
  }

  private listen(): void {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.events.dragged) return;
      canvas.setPointerCapture(event.pointerId);
      const at = pointOf(event);
      this.dragging = { from: at, to: at, shift: event.shiftKey };
    });
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => this.finish());
    canvas.addEventListener("pointercancel", () => this.abandon());
    canvas.addEventListener("pointerleave", () => {
      this.tip.hide();
      this.pointer = null;
      this.redraw();
    });
    canvas.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      if (this.dragging) this.abandon();
      else this.events.cancel?.();
    });
  }

  private move(event: PointerEvent): void {
    const at = pointOf(event);
    this.pointer = at;
    if (this.dragging) this.dragging.to = at;
    this.redraw();
    const { left, width } = this.area;
    const inside = at.x >= left && at.x <= left + width;
    this.tip.show(inside ? this.events.hover(at) : [], event);
  }

  private finish(): void {
    const drag = this.dragging;
    if (!drag) return;
    const { from, to } = drag;
    const far = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y));
    this.abandon();
    if (far < 4) this.events.clicked?.(from);
    else this.events.dragged?.(drag);
  }

  private abandon(): void {
    this.dragging = null;
    this.redraw();
  }

  paint(): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return this.gutter.want(this, 0);
    const context = sized(this.canvas, width, height);
    context.fillStyle = cssColor("--surface");
    context.fillRect(0, 0, width, height);
    context.font = '10.5px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace';
    const texts = this.events.axis(this.area);
    const widths = texts.map(({ text }) => context.measureText(text).width);
    this.gutter.want(this, Math.max(0, ...widths));
    const { area } = this;
    this.events.paint(context, area);
    context.fillStyle = cssColor("--line");
    context.fillRect(area.left, area.height, area.width, 1);
    context.fillStyle = cssColor("--muted");
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const { text, y } of texts) context.fillText(text, area.left - GAP, y);
    context.textAlign = "left";
  }
}

function pointOf({ offsetX: x, offsetY: y }: PointerEvent): Point {
  return { x, y };
}

interface Range {
  from: number;
  to: number;
}

/** Where a time is drawn, in pixels. */
export function xOfTime(area: Area, { from, to }: Range): (time: number) => number {
  return (time) => area.left + ((time - from) * area.width) / (to - from);
}

/** The time at a place, within the range. */
export function timeAt(x: number, { left, width }: Area, { from, to }: Range): number {
  return from + Math.max(0, Math.min(1, (x - left) / width)) * (to - from);
}

export function paintTimeAxis(
  context: CanvasRenderingContext2D,
  area: Area,
  from: number,
  to: number,
  zone: Zone,
): void {
  const width = (text: string) => context.measureText(text).width;
  const xOf = xOfTime(area, { from, to });
  const ticks = timeTicks(from, to, area.width, zone, width);
  const texts = ticks.map(({ time, text }) => ({ x: xOf(time), text }));
  paintTexts(context, area, texts, zoneName(zone));
}

/** The texts below a plot, as many as do not touch, with a title on their left. */
export function paintTexts(
  context: CanvasRenderingContext2D,
  area: Area,
  texts: { x: number; text: string }[],
  title = "",
): void {
  const width = (text: string) => context.measureText(text).width;
  context.fillStyle = cssColor("--muted");
  context.textBaseline = "top";
  context.textAlign = "right";
  context.fillText(title, area.left - GAP, area.height + 5);
  context.textAlign = "center";
  let end = area.left - GAP;
  for (const { x, text } of texts) {
    context.fillRect(Math.round(x), area.height, 1, 3);
    const half = width(text) / 2;
    const inside = Math.max(area.left + half, Math.min(x, area.left + area.width - half));
    // At an edge a text is moved inside, where another may be.
    if (inside - half < end + GAP) continue;
    context.fillText(text, inside, area.height + 5);
    end = inside + half;
  }
  context.textAlign = "left";
}

/** Marks what of a plot lies between two places. */
export function paintBand(
  context: CanvasRenderingContext2D,
  area: Area,
  from: Point,
  to: Point,
  color = "--accent",
): void {
  const end = area.left + area.width;
  const [x, right] = [from.x, to.x].toSorted((a, b) => a - b);
  const [y, bottom] = [from.y, to.y].toSorted((a, b) => a - b);
  const [left, top] = [Math.max(area.left, x), Math.max(0, y)];
  const width = Math.min(end, right) - left;
  const height = Math.max(2, Math.min(area.height, bottom) - top);
  // A range that ends at an edge is outside; a drag straight up is a line.
  if (width < 0 || (!width && from.x !== to.x)) return;
  context.save();
  context.globalAlpha = 0.16;
  context.fillStyle = cssColor(color);
  context.fillRect(left, top, width, height);
  context.globalAlpha = 1;
  context.strokeStyle = cssColor(color);
  context.lineWidth = 1;
  context.strokeRect(Math.round(left) + 0.5, top + 0.5, Math.round(width), height - 1);
  context.restore();
}

/**
 * The steps of an answer as they are drawn. A row that sums an interval has the time of its end: if
 * rows are several steps apart, each covers the steps back to the row before it. The pointer selects
 * steps by the same rule.
 */
export class Steps {
  private readonly reach: number;

  /** `longer` has steps of the same length over a longer time, which may show longer intervals. */
  constructor(
    private readonly times: number[],
    readonly step: number,
    private readonly filled: boolean[],
    longer: Steps | null = null,
  ) {
    const known = longer?.step === step ? longer.reach : 0;
    this.reach = Math.max(known, intervalSteps(filled) - 1);
  }

  /** The length of the interval that one step shows, in microseconds. */
  get interval(): number {
    return this.step * (this.reach + 1);
  }

  /** The start and the end of what a step shows. */
  span(k: number): [number, number] {
    let first = k;
    while (k - first < this.reach && first > 0 && !this.filled[first - 1]) first--;
    return [this.times[0] + first * this.step, this.times[k] + this.step];
  }

  /** The step that is drawn at a time: the next filled one that reaches back to it. */
  at(time: number): number {
    const last = this.times.length - 1;
    const at = Math.max(0, Math.min(last, Math.floor((time - this.times[0]) / this.step)));
    for (let k = at; k <= Math.min(last, at + this.reach); k++) if (this.filled[k]) return k;
    return at;
  }

  text(k: number, zone: Zone): string {
    const [from, to] = this.span(k);
    const fraction = this.step < 1e6;
    const until = dateTime(to, zone, fraction).slice(11);
    return `${dateTime(from, zone, fraction)} – ${until} ${zoneName(zone)}`;
  }
}

/** Returns the number of steps of an interval; 1 if rows are not at even distances. */
function intervalSteps(filled: boolean[]): number {
  const at = filled.flatMap((one, k) => (one ? [k] : []));
  const gaps = at.slice(1).map((k, i) => k - at[i]);
  const [gap] = gaps.toSorted((a, b) => a - b).slice(Math.floor(gaps.length / 2));
  const same = gaps.filter((one) => Math.abs(one - gap) <= 1).length;
  return gaps.length >= 4 && gap <= 8 && same >= 0.7 * gaps.length ? gap : 1;
}
