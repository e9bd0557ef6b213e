// Gestures on a surface: a drag makes a selection, its edges and a baseline's are moved.

import type { Box } from "../state/address";
import { slotAt, timeAt, xOfTime, type Times } from "./drawing";
import { baseFrame, framesOf } from "./frames";
import type { Plot } from "./plot";
import type { Selecting } from "./selecting";
import type { Range } from "./steps";

/** A place on a surface, in pixels. */
export interface Point {
  x: number;
  y: number;
}

type Of = "box" | "base";

/** The thing that the pointer holds. */
type Grip =
  | { kind: "new"; plot: Plot; from: Point; shift: boolean }
  | { kind: "edge"; of: Of; range: Range; side: keyof Range }
  | { kind: "move"; of: Of; range: Range; time: number };

/** How near an edge is enough, and how high the place to move a frame by is. */
const NEAR = 5;
const STRIP = 18;
const LEAST = 4;

export class Brush {
  private grip: Grip | null = null;
  /** Both are chosen once the pointer is released. */
  box: Box | null = null;
  base: Range | null = null;
  /** The first corner of a box that is made by two clicks. */
  anchor: (Point & { plot: Plot }) | null = null;

  constructor(
    private readonly plots: () => Plot[],
    private readonly times: () => Times,
    private readonly selecting: Selecting,
  ) {}

  get active(): boolean {
    return this.grip !== null;
  }

  /** How the pointer is drawn at a place. */
  cursor(at: Point): string {
    const grip = this.gripAt(at, false);
    return { edge: "ew-resize", move: "grab", new: "crosshair", none: "default" }[
      grip?.kind ?? "none"
    ];
  }

  down(at: Point, shift: boolean): boolean {
    this.grip = this.gripAt(at, shift);
    return this.grip !== null;
  }

  private gripAt(at: Point, shift: boolean): Grip | null {
    return this.heldAt(at, "box") ?? this.heldAt(at, "base") ?? this.newAt(at, shift);
  }

  private newAt(at: Point, shift: boolean): Grip | null {
    const plot = this.plotAt(at);
    if (!plot?.drawing?.around) return null;
    return { kind: "new", plot, from: at, shift };
  }

  plotAt({ x, y }: Point): Plot | undefined {
    return this.plots().find(
      ({ top, area }) =>
        y >= top && y <= top + area.height && x >= area.left - 2 && x <= area.left + area.width + 2,
    );
  }

  /** The edge of a frame, or the strip at its top. */
  private heldAt({ x, y }: Point, of: Of): Grip | null {
    const plots = this.plots();
    const range = of === "box" ? this.selecting.box : this.selecting.base;
    if (!range || !plots[0]) return null;
    const times = this.times();
    const frames =
      of === "box" && this.selecting.box
        ? framesOf(plots, times, this.selecting.box)
        : [baseFrame(plots, times, range)].flatMap((frame) => frame ?? []);
    for (const { left, right, top, bottom } of frames) {
      if (y < top - 2 || y > bottom + 2) continue;
      if (Math.abs(x - left) <= NEAR) return { kind: "edge", of, range, side: "from" };
      if (Math.abs(x - right) <= NEAR) return { kind: "edge", of, range, side: "to" };
      const time = timeAt(x, plots[0].area, times);
      if (x > left && x < right && y < top + STRIP) return { kind: "move", of, range, time };
    }
    return null;
  }

  move(at: Point): void {
    const { grip } = this;
    if (!grip) return;
    if (grip.kind === "new") this.draw(grip, at);
    else this.hold(grip.of, grip.kind === "edge" ? this.resized(grip, at) : this.moved(grip, at));
  }

  private draw({ plot, from, shift }: Grip & { kind: "new" }, to: Point): void {
    const far = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y)) >= LEAST;
    const box = far ? this.between(plot, from, to) : null;
    if (shift) this.base = box;
    else this.box = box;
  }

  /** Whole steps between two places; on a heatmap whole rows too, unless those are all. */
  private between(plot: Plot, one: Point, other: Point): Box {
    const { area, top, drawing } = plot;
    const times = this.times();
    const ends = [one, other].map(({ x }) => timeAt(x, area, times));
    const range = drawing?.around?.(...(ends as [number, number])) ?? times;
    const alone = { column: "", ...within(range, times), low: null, high: null };
    const slots = drawing?.slots;
    if (!slots?.lower.length) return alone;
    const rows = [one, other].map(({ y }) => slotAt(y - top, area, slots.lower.length));
    return { ...alone, ...sizes(plot, Math.min(...rows), Math.max(...rows)) };
  }

  private resized({ range, side }: Grip & { kind: "edge" }, { x }: Point): Range {
    const plot = this.plots()[0];
    const { around } = plot.drawing ?? {};
    const time = timeAt(x, plot.area, this.times());
    const step = around?.(time, time) ?? { from: time, to: time };
    const near = time - step.from < step.to - time ? step.from : step.to;
    const other = side === "from" ? range.to : range.from;
    if (near === other) return range;
    return { from: Math.min(near, other), to: Math.max(near, other) };
  }

  private moved({ range, time }: Grip & { kind: "move" }, { x }: Point): Range {
    const plot = this.plots()[0];
    const times = this.times();
    const shift = timeAt(x, plot.area, times) - time;
    const first =
      range.from + Math.max(times.from - range.from, Math.min(shift, times.to - range.to));
    const from = plot.drawing?.around?.(first, first).from ?? first;
    return { from, to: from + range.to - range.from };
  }

  private hold(of: Of, range: Range): void {
    const { box } = this.selecting;
    if (of === "base") this.base = range;
    else if (box) this.box = { ...box, ...range };
  }

  /** Chooses; a click that moved nothing is a corner of a box. */
  up(): void {
    const { grip, box, base } = this;
    this.cancel();
    if (base) this.selecting.chooseBase(base);
    else if (box) {
      this.anchor = null;
      this.selecting.choose(box);
    } else if (grip?.kind === "new") this.clicked(grip);
  }

  /** The first click starts a box and the second ends it, as in FlameScope. */
  private clicked({ plot, from }: Grip & { kind: "new" }): void {
    const { anchor } = this;
    if (!plot.drawing?.slots) return;
    this.anchor = anchor ? null : { ...from, plot };
    if (!anchor || anchor.plot !== plot) return;
    if (Math.abs(anchor.x - from.x) < 3 && Math.abs(anchor.y - from.y) < 3) return;
    this.selecting.choose(this.between(plot, anchor, from));
  }

  cancel(): void {
    this.grip = null;
    this.box = null;
    this.base = null;
  }

  /** Whether a place is inside the selection. */
  inside({ x, y }: Point): boolean {
    const { box } = this.selecting;
    if (!box) return false;
    const frames = framesOf(this.plots(), this.times(), box);
    return frames.some((one) => x >= one.left && x <= one.right && y >= one.top && y <= one.bottom);
  }

  /** Arrows: a step later or earlier, a row up or down; with Shift the far end alone. */
  key(key: string, shift: boolean): boolean {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    const row = { ArrowDown: -1, ArrowUp: 1 }[key];
    const { box } = this.selecting;
    const chosen = step ? this.stepped(step, shift) : row ? this.rowed(row, shift) : null;
    if (chosen) this.selecting.choose(chosen, box ? "replace" : "push");
    return !!step || !!row;
  }

  private stepped(by: number, shift: boolean): Box | null {
    const plot = this.plots()[0];
    const around = plot?.drawing?.around;
    if (!around) return null;
    const times = this.times();
    const { box } = this.selecting;
    if (!box) {
      const middle = (times.from + times.to) / 2;
      const range = around(middle, middle + (times.to - times.from) / 12);
      return { column: "", ...within(range, times), low: null, high: null };
    }
    const end = around(by > 0 ? box.to : box.to - 1, by > 0 ? box.to : box.to - 1);
    const to = shift ? (by > 0 ? end.to : end.from) : box.to;
    if (shift) return to > box.from ? { ...box, ...within({ from: box.from, to }, times) } : box;
    const length = end.to - end.from;
    const moved = { from: box.from + by * length, to: box.to + by * length };
    return moved.from < times.from || moved.to > times.to + 1 ? box : { ...box, ...moved };
  }

  private rowed(by: number, shift: boolean): Box | null {
    const { box } = this.selecting;
    const plot = this.plots().find(({ drawing }) => drawing?.slots?.lower.length);
    const slots = plot?.drawing?.slots;
    if (!plot || !slots || !box) return box;
    const last = slots.lower.length - 1;
    const at = (size: number) => slots.lower.findIndex((low) => low >= size);
    let [low, high] = [by > 0 ? last : 0, by > 0 ? last : 0];
    if (box.low !== null && box.high !== null) {
      const end = at(box.high);
      [low, high] = [Math.max(0, at(box.low)), (end < 0 ? last + 1 : end) - 1];
      if (!shift) low = Math.max(0, Math.min(last, low + by));
      high = Math.max(low, Math.min(last, high + by));
    }
    return { ...box, ...sizes(plot, low, high) };
  }
}

function within({ from, to }: Range, times: Range): Range {
  return { from: Math.max(from, times.from), to: Math.min(to, times.to) };
}

/** From one row to another; all rows bound nothing. */
function sizes({ drawing }: Plot, low: number, high: number): Pick<Box, "column" | "low" | "high"> {
  const slots = drawing?.slots;
  if (!slots || (low === 0 && high === slots.lower.length - 1)) {
    return { column: "", low: null, high: null };
  }
  const { column, lower, upper } = slots;
  return { column, low: lower[low], high: lower[high + 1] ?? upper };
}

/** Where a surface's selection ends on the right and on the left, in pixels. */
export function endsOf(plots: Plot[], times: Times, box: Range): [number, number] {
  const xOf = xOfTime(plots[0].area, times);
  return [xOf(Math.max(times.from, box.from)), xOf(Math.min(times.to, box.to))];
}
