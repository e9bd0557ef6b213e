// Time across, size upward, how often as colour. A box on it bounds everything else shown.

import {
  chartOf,
  category,
  column,
  declaredSizes,
  heatmapColumn,
  question,
  type Context,
} from "../state/context";
import { button, cssColor, h, replace } from "../ui/dom";
import { axisText, axisTitle, dateTime, exact, quantity, zoneName } from "../ui/format";
import { foldButton } from "../ui/collapse";
import { Loader } from "../api/loader";
import { paintBand, paintTimeAxis, Plot, Steps, type Area, type AxisText, type Drag } from "./plot";
import type { Box } from "../state/address";
import type { HeatmapAnswer } from "../api/types";
import { iso } from "../state/ranges";

type Drawn = HeatmapAnswer & { steps: Steps };

export class Heatmap {
  readonly element: HTMLElement;
  private readonly head = h("div", { class: "head" });
  private readonly loaders = {
    declared: new Loader("Counting by size"),
    other: new Loader("Counting by size"),
  };
  private readonly plot: Plot;
  private answers: Partial<Record<"declared" | "other", Drawn>> = {};
  private readonly fold: HTMLElement;
  private anchor: { x: number; y: number } | null = null;
  private pointer: { x: number; y: number } | null = null;
  answered: (steps: Steps) => void = () => undefined;

  constructor(private readonly context: Context) {
    this.plot = new Plot(
      "Heatmap. Drag a box, or click its two corners; Escape removes it.",
      context.gutter,
      {
        axis: (area) => (this.answer ? sizeTexts(area, this.answer) : []),
        paint: (canvas, area) => this.paint(canvas, area),
        dragged: (drag) => this.choose(drag),
        clicked: (x, y) => this.clicked(x, y),
        hover: (x, y) => this.hover(x, y),
        left: () => (this.pointer = null),
        cancel: () => this.clear(),
      },
    );
    this.plot.element.append(this.loaders.declared.element, this.loaders.other.element);
    this.loaders.declared.over(this.plot.canvas);
    this.element = h(
      "section",
      { class: "heatmap", "aria-label": "Heatmap" },
      this.head,
      this.plot.element,
    );
    // A phone has room for one of both.
    this.fold = foldButton(this.element, "Heatmap", innerWidth <= 620);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && event.target === document.body) this.clear();
    });
  }

  update(): void {
    const declared = declaredSizes(this.context);
    const shown = heatmapColumn(this.context);
    this.element.hidden = !shown;
    if (!shown) return;
    this.drawHead(shown);
    const boxed = this.context.store.state.box && shown !== declared;
    if (boxed) this.ask("other", shown);
    else this.askDeclared(declared);
    this.plot.redraw();
  }

  private askDeclared(declared: string): void {
    const { sizes } = this.context;
    this.ask("declared", declared, (answer) => {
      const without = answer.meta.rows > 0 && !answer.lower.length;
      this.context.sizes = without ? this.standIn(declared) : null;
      if (this.context.sizes?.column !== sizes?.column) this.update();
    });
    if (sizes && sizes.table === this.context.store.state.table) this.ask("other", sizes.column);
  }

  private ask(
    which: "declared" | "other",
    name: string,
    then: (answer: HeatmapAnswer) => void = () => undefined,
  ): void {
    const query = question(this.context, "range");
    query.push(["value", name], ["points", "120"]);
    const path = `/api/v1/heatmap/${this.context.store.state.table}`;
    void this.loaders[which].ask<HeatmapAnswer>(path, query, (answer) => {
      const { times, step, counts } = answer;
      const filled = counts.map((slots) => slots.some(Boolean));
      this.answers[which] = { ...answer, steps: new Steps(times, step, filled) };
      then(answer);
      if (this.answer) this.answered(this.answer.steps);
      this.plot.paint();
    });
  }

  /** The answer of the column that is shown. */
  private get answer(): Drawn | null {
    const { table } = this.context.store.state;
    const name = heatmapColumn(this.context);
    const { declared, other } = this.answers;
    const fits = (one?: Drawn) => one?.table === table && one.value_column === name;
    return [declared, other].find(fits) ?? null;
  }

  /** Rows of older agents and scripts may lack the histogram: their own values have sizes too. */
  private standIn(declared: string): Context["sizes"] {
    const one = category(this.context);
    const value = chartOf(one, "flamegraph")?.value ?? "";
    const type = column(this.context, value)?.type;
    if (!one || declared === value || (type !== "elapsed" && type !== "bytes")) return null;
    return { table: one.table, column: value };
  }

  private drawHead(name: string): void {
    const { store } = this.context;
    const { box, zone } = store.state;
    const unit = axisTitle(column(this.context, name)?.unit ?? "");
    const title = chartOf(category(this.context), "heatmap")?.title ?? name;
    const head: (Node | null)[] = [
      this.fold,
      h("strong", {}, column(this.context, name)?.prettyname ?? title, unit && ` (${unit})`),
    ];
    if (box) {
      const unit = this.answer?.unit ?? column(this.context, name)?.unit ?? "";
      const times = `${dateTime(box.from, zone)} – ${dateTime(box.to, zone).slice(11)}`;
      const text = `${times} ${zoneName(zone)}, ${bounds(box, unit)}`;
      const into = () => {
        store.set({ from: iso(box.from), to: iso(box.to), box: null, live: false });
        this.context.refresh();
      };
      const clear = button("×", () => this.clear(), { "aria-label": "Remove the box", class: "x" });
      const chip = h("span", { class: "chip text" }, h("span", { title: text }, text), clear);
      head.push(chip, button("zoom into it", into));
    } else {
      head.push(h("span", { class: "hint" }, "drag a box: graph, table and timeline follow"));
    }
    replace(this.head, ...head);
  }

  private clear(): void {
    this.anchor = null;
    if (this.context.store.state.box) this.context.store.set({ box: null });
    this.plot.redraw();
  }

  /** The first click starts a range, the second ends it: FlameScope's way. */
  private clicked(x: number, y: number): void {
    if (!this.anchor) {
      this.anchor = { x, y };
      this.plot.redraw();
      return;
    }
    const { anchor } = this;
    this.anchor = null;
    if (Math.abs(anchor.x - x) < 3 && Math.abs(anchor.y - y) < 3) return;
    this.choose({ x0: anchor.x, y0: anchor.y, x1: x, y1: y, shift: false });
  }

  private choose(drag: Drag): void {
    const { answer } = this;
    if (!answer?.lower.length) return;
    this.anchor = null;
    const columns = [this.columnAt(drag.x0), this.columnAt(drag.x1)].sort((a, b) => a - b);
    const rows = [this.rowAt(drag.y0), this.rowAt(drag.y1)].sort((a, b) => a - b);
    const { from, to } = this.context.range;
    const box: Box = {
      column: answer.value_column,
      from: Math.max(from, answer.steps.span(columns[0]!)[0]),
      to: Math.min(to, answer.steps.span(columns[1]!)[1]),
      low: answer.lower[rows[0]!]!,
      high: answer.lower[rows[1]! + 1] ?? answer.upper,
    };
    this.context.store.set({ box, zoom: [] });
  }

  private columnAt(x: number): number {
    const { left, width } = this.plot.area;
    const { from, to } = this.context.range;
    return this.answer!.steps.at(from + ((x - left) / width) * (to - from));
  }

  private rowAt(y: number): number {
    const count = this.answer!.lower.length;
    const row = Math.floor((1 - y / this.plot.area.height) * count);
    return Math.max(0, Math.min(count - 1, row));
  }

  private hover(x: number, y: number): string[] {
    this.pointer = { x, y };
    const { answer } = this;
    const { left, width, height } = this.plot.area;
    if (!answer?.lower.length || x < left || x > left + width || y > height) return [];
    const [k, row] = [this.columnAt(x), this.rowAt(y)];
    const { zone } = this.context.store.state;
    const low = answer.lower[row]!;
    const high = answer.lower[row + 1] ?? answer.upper;
    return [
      answer.steps.text(k, zone),
      bounds({ low, high }, answer.unit),
      `${exact(answer.counts[k]![row] ?? 0)} events`,
    ];
  }

  private paint(canvas: CanvasRenderingContext2D, area: Area): void {
    const { range, store } = this.context;
    const { answer } = this;
    paintTimeAxis(canvas, area, range.from, range.to, store.state.zone);
    canvas.fillStyle = cssColor("--line");
    canvas.fillRect(area.left, area.height, area.width, 1);
    if (!answer?.lower.length) return;
    const scale = area.width / (range.to - range.from);
    const xOf = (time: number) => area.left + (time - range.from) * scale;
    canvas.save();
    canvas.beginPath();
    canvas.rect(area.left, 0, area.width, area.height);
    canvas.clip();
    paintCells(canvas, area, answer, xOf);
    canvas.restore();
    const { box } = store.state;
    if (box) this.paintBox(canvas, area, box, xOf);
    const { dragging } = this.plot;
    const from = dragging ? { x: dragging.x0, y: dragging.y0 } : this.anchor;
    const to = dragging ? { x: dragging.x1, y: dragging.y1 } : this.pointer;
    if (from && to) {
      const left = Math.max(area.left, Math.min(from.x, to.x));
      const top = Math.max(0, Math.min(from.y, to.y));
      const bottom = Math.min(area.height, Math.max(from.y, to.y));
      const right = Math.min(area.left + area.width, Math.max(from.x, to.x));
      paintBand(canvas, left, top, right - left, Math.max(2, bottom - top));
    }
  }

  private paintBox(
    canvas: CanvasRenderingContext2D,
    area: Area,
    box: Box,
    xOf: (time: number) => number,
  ): void {
    const { lower } = this.answer!;
    const place = (size: number) => {
      const above = lower.findIndex((bound) => bound >= size);
      return above < 0 ? lower.length : above;
    };
    const row = area.height / lower.length;
    const top = area.height - place(box.high) * row;
    const bottom = area.height - place(box.low) * row;
    paintBand(canvas, xOf(box.from), top, xOf(box.to) - xOf(box.from), bottom - top);
  }

  repaint(): void {
    this.plot.redraw();
  }
}

function bounds(box: { low: number; high: number }, unit: string): string {
  return `${quantity(box.low, unit)} to ${quantity(box.high, unit)}`;
}

/** Counts differ by powers of ten, so colour follows their logarithm. */
function paintCells(
  canvas: CanvasRenderingContext2D,
  area: Area,
  answer: Drawn,
  xOf: (time: number) => number,
): void {
  const { times, counts, lower } = answer;
  const most = counts.reduce((all, row) => row.reduce((a, b) => Math.max(a, b), all), 0);
  const steps = 8;
  const colors = Array.from({ length: steps }, (_, k) => cssColor(`--heat-${k + 1}`));
  const row = area.height / lower.length;
  times.forEach((_, k) => {
    const [from, to] = answer.steps.span(k);
    const x = xOf(from);
    const width = xOf(to) - x;
    counts[k]!.forEach((count, r) => {
      if (!count) return;
      const heat = most > 1 ? Math.log(count) / Math.log(most) : 1;
      canvas.fillStyle = colors[Math.min(steps - 1, Math.floor(heat * steps))]!;
      const y = area.height - (r + 1) * row;
      canvas.fillRect(x, y, width > 5 ? width - 0.5 : width + 0.3, row > 5 ? row - 0.5 : row + 0.3);
    });
  });
}

/** Beside each slot's lower edge; the lowest is above the time axis and keeps the next away. */
function sizeTexts(area: Area, { lower, unit }: HeatmapAnswer): AxisText[] {
  const row = area.height / lower.length;
  const every = Math.max(1, Math.ceil(15 / row));
  return lower
    .map((low, r) => ({
      text: axisText(low, unit),
      y: r ? area.height - r * row : area.height - 6,
    }))
    .filter(({ y }, r) => r % every === 0 && (!r || (y > 6 && y < area.height - 18)));
}
