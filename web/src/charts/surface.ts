// Plots above one time axis: their tooltip, the selection on all of them, and what is drawn over them.

import type { Marker } from "../../generated/types";
import { pixelRatio, Tip } from "../ui/canvas";
import { button, h, perFrame, type Child } from "../ui/dom";
import { icon } from "../ui/icons";
import { need } from "../ui/need";
import { square } from "../ui/swatch";
import { Brush, endsOf, type Point } from "./brush";
import { timeAt, type Times, type Told } from "./drawing";
import { paintOver } from "./frames";
import type { Plot } from "./plot";
import type { Selecting } from "./selecting";

/** How long the pointer rests before more is asked about a place, in milliseconds. */
const REST = 300;

export interface Host {
  times(): Times;
  markers(): Marker[];
  /** The page around the surface follows its measures. */
  painted?(): void;
}

export class Surface {
  readonly element: HTMLElement;
  private readonly pill = h("div.ask", { hidden: true });
  private readonly what = button("What changed here?", () => this.selecting?.ask(), {
    class: "what",
  });
  private readonly over = h("canvas.overlay", { "aria-hidden": "true" });
  private readonly said = h("div.unseen", { "aria-live": "polite" });
  private readonly tip = new Tip();
  private readonly brush: Brush | null;
  private pointer: Point | null = null;
  private resting = 0;
  private stop: AbortController | null = null;
  readonly redraw = perFrame(() => this.paint());
  private readonly redrawOver = perFrame(() => this.paintOver());

  constructor(
    label: string,
    private readonly all: Plot[],
    private readonly host: Host,
    private readonly selecting: Selecting | null,
  ) {
    const shown = () => this.plots;
    this.brush = selecting && new Brush(shown, () => host.times(), selecting);
    const focusable = selecting ? { tabindex: 0, role: "application", "aria-label": label } : {};
    const elements = all.map((plot) => plot.element);
    this.element = h("div.surface", focusable, ...elements, this.over, this.said);
    this.element.append(this.pill, this.tip.element);
    new ResizeObserver(this.redraw).observe(this.element);
    for (const plot of all) plot.element.addEventListener("repaint", this.redraw);
    this.fillPill();
    this.listen();
  }

  private get plots(): Plot[] {
    return this.all.filter((plot) => plot.shown);
  }

  private fillPill(): void {
    const { selecting, pill } = this;
    if (!selecting) return;
    const zoom = button("", () => selecting.zoom(), {
      "aria-label": "Zoom in",
      title: "Show only this time (Enter)",
    });
    const clear = button("", () => selecting.choose(null), {
      "aria-label": "Remove the selection",
      title: "Remove the selection (Escape)",
    });
    zoom.append(icon("zoom"));
    clear.append(icon("close"));
    pill.append(this.what, zoom, clear);
  }

  private listen(): void {
    const { element } = this;
    element.addEventListener("pointermove", (event) => this.moved(event));
    element.addEventListener("pointerleave", () => this.left());
    if (!this.brush) return;
    element.addEventListener("pointerdown", (event) => this.pressed(event));
    element.addEventListener("pointerup", () => this.released());
    element.addEventListener("pointercancel", () => this.cancel());
    element.addEventListener("dblclick", (event) => {
      if (this.brush?.inside(this.pointOf(event))) this.selecting?.zoom();
    });
    element.addEventListener("keydown", (event) => this.typed(event));
  }

  private pointOf({ clientX, clientY }: MouseEvent): Point {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  private pressed(event: PointerEvent): void {
    if (event.button !== 0 || !this.onPlots(event)) return;
    if (!this.brush?.down(this.pointOf(event), event.shiftKey)) return;
    this.element.setPointerCapture(event.pointerId);
    this.forget();
  }

  /** The pill and other controls lie on the surface, and are none of it. */
  private onPlots({ target }: Event): boolean {
    return !(target as Element).closest("button, .loader");
  }

  private released(): void {
    if (!this.brush?.active) return;
    this.brush.up();
    this.left();
  }

  private cancel(): void {
    this.brush?.cancel();
    if (this.brush) this.brush.anchor = null;
    this.redrawOver();
  }

  /** Escape on the page: first an unfinished selection goes, then the finished one. */
  clear(): void {
    const unfinished = this.brush?.active || this.brush?.anchor;
    this.cancel();
    if (!unfinished && this.selecting?.box) this.selecting.choose(null);
  }

  private typed(event: KeyboardEvent): void {
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") this.selecting?.zoom();
    else if (event.key === "Escape") this.clear();
    else if (!this.brush?.key(event.key, event.shiftKey)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  private moved(event: PointerEvent): void {
    const at = this.pointOf(event);
    const on = this.onPlots(event);
    this.pointer = on ? at : null;
    this.forget();
    if (this.brush?.active) this.brush.move(at);
    else if (this.brush) this.element.style.cursor = on ? this.brush.cursor(at) : "";
    this.redrawOver();
    const told = on ? this.toldAt(at) : null;
    this.tell(told, "", event);
    if (told && !this.brush?.active) this.rest(at, told, event);
  }

  private toldAt({ x, y }: Point): Told | null {
    const plot = this.plots.find(({ top, element }) => y >= top && y < top + element.clientHeight);
    if (!plot?.drawing) return null;
    const { left, width } = plot.area;
    if (x < left || x > left + width) return null;
    const times = this.host.times();
    const told = plot.drawing.at(x, y - plot.top, plot.area, times);
    const note = told && plot.note(timeAt(x, plot.area, times));
    return told && note ? { ...told, lines: [...told.lines, { value: "", name: note }] } : told;
  }

  private tell(told: Told | null, more: string, event: MouseEvent): void {
    if (!told) return this.tip.hide();
    const lines = told.lines.map(({ color, value, name, near }) => {
      const number = value && h("b", value);
      const words: Child[] = [color && square(color), number, name && `${value && "  "}${name}`];
      return h(near ? "span.near" : "span", ...words);
    });
    this.tip.show([told.title, ...lines, more].filter(Boolean), event);
  }

  private rest(at: Point, told: Told, event: PointerEvent): void {
    const plot = this.plots.find(({ top, area }) => at.y >= top && at.y < top + area.height);
    const rests = plot?.rests;
    if (!plot || !rests) return;
    this.resting = window.setTimeout(async () => {
      const stop = new AbortController();
      this.stop = stop;
      const more = await rests(at.x, at.y - plot.top, stop.signal).catch(() => "");
      if (!stop.signal.aborted && more) this.tell(told, more, event);
    }, REST);
  }

  private forget(): void {
    clearTimeout(this.resting);
    this.stop?.abort();
  }

  private left(): void {
    this.forget();
    this.tip.hide();
    this.pointer = null;
    this.redrawOver();
  }

  paint(): void {
    const { plots } = this;
    if (!plots.length) return;
    plots.forEach((plot, k) => (plot.last = k === plots.length - 1));
    const left = Math.max(...plots.map((plot) => plot.wants()));
    for (const plot of plots) {
      plot.left = left;
      plot.paint();
    }
    this.paintOver();
    this.host.painted?.();
  }

  private paintOver(): void {
    const { plots, brush, selecting, over } = this;
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!plots.length || !width) return;
    const ratio = pixelRatio();
    const size = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    if (over.width !== size.width || over.height !== size.height) Object.assign(over, size);
    const canvas = need(over.getContext("2d"), "the 2D context of a canvas");
    canvas.setTransform(ratio, 0, 0, ratio, 0, 0);
    canvas.clearRect(0, 0, width, height);
    if (!plots.some(({ drawing }) => drawing?.timed)) return;
    paintOver(canvas, plots, this.host.times(), {
      box: brush?.box ?? selecting?.box ?? null,
      base: brush?.base ?? selecting?.base ?? null,
      markers: this.host.markers(),
      pointer: brush?.active ? null : (this.pointer?.x ?? null),
      anchor: brush?.anchor ?? null,
    });
    this.placePill();
  }

  /** Beside the selection, where there is room. */
  private placePill(): void {
    const { pill, selecting, plots } = this;
    const box = selecting?.box;
    const times = this.host.times();
    const away = !box || this.brush?.active || box.to < times.from || box.from > times.to;
    pill.hidden = !!away;
    if (!box || away) return;
    this.what.hidden = selecting.asking;
    const [start, end] = endsOf(plots, times, box);
    const width = pill.offsetWidth;
    const room = this.element.clientWidth;
    const beside = end + 8 + width <= room ? end + 8 : start - 8 - width;
    const left = Math.max(0, Math.min(beside, room - width));
    pill.style.transform = `translate(${left}px, ${plots[0].top + 4}px)`;
  }

  /** For screen readers: what is selected. */
  say(text: string): void {
    if (this.said.textContent !== text) this.said.textContent = text;
  }

  /** Where a time is, and where the plots begin and end, in pixels. */
  get measures(): { left: number; width: number } | null {
    const { plots } = this;
    return plots[0] ? plots[0].area : null;
  }
}
