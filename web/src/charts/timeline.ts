// How much over time, split by a column; a drag chooses the range. A box on the heatmap bounds it, on
// an axis that stays the heatmap's: what lies outside can still be chosen.

import { get } from "../api/client";
import { baselineRange } from "../header/compare_head";
import {
  bounds,
  category,
  chartOf,
  column,
  columnsWith,
  question,
  ROWS,
  valueColumn,
  type Context,
} from "../state/context";
import { button, cssColor, h, replace, Select } from "../ui/dom";
import { axisText, duration, exact, quantity } from "../ui/format";
import { oneOf, withFilter } from "../state/filters";
import { foldButton } from "../ui/collapse";
import { cost, Loader } from "../api/loader";
import { paintBand, paintTimeAxis, Plot, Steps, type Area, type AxisText, type Drag } from "./plot";
import { iso } from "../state/ranges";
import { plain, short } from "../ui/text";
import type { TimeseriesAnswer, TopAnswer } from "../api/types";

const SERIES = 7;
/** How many steps the range is cut into, at most; the heatmap's is cut alike. */
const POINTS = 120;

interface Means {
  whole: number | null;
  each: Map<string, number | null>;
}

export class Timeline {
  readonly element: HTMLElement;
  private readonly head = h("div", { class: "head" });
  private readonly legend = h("div", { class: "legend" });
  private readonly figures = h("span", { class: "number figures" });
  private readonly boxed: HTMLElement;
  private readonly loader = new Loader("Summing over time");
  private readonly values: Select;
  private readonly splits: Select;
  private readonly plot: Plot;
  private answer: TimeseriesAnswer | null = null;
  private steps: Steps | null = null;
  /** Of what is averaged: over all rows of the range, and of each series. */
  private means: Means | null = null;
  /** The heatmap's, which are of the whole range. */
  private whole: Steps | null = null;
  private readonly fold: HTMLElement;
  private pointer = -1;
  answered: (answer: TimeseriesAnswer) => void = () => undefined;

  constructor(private readonly context: Context) {
    this.plot = new Plot("Timeline. Drag to choose a time range.", context.gutter, {
      axis: (area) => (this.answer && this.steps ? valueTexts(area, this.answer, this.steps) : []),
      paint: (canvas, area) => this.paint(canvas, area),
      dragged: (drag) => this.dragged(drag),
      clicked: () => undefined,
      hover: (x) => this.hover(x),
      left: () => (this.pointer = -1),
      cancel: () => undefined,
    });
    this.plot.element.append(this.loader.element);
    this.loader.over(this.plot.canvas, this.legend, this.figures);
    const { store } = context;
    this.values = new Select("Value", (value) => store.set({ value }));
    this.splits = new Select("Split by", (by) => store.set({ by }));
    this.element = h(
      "section",
      { class: "timeline", "aria-label": "Timeline" },
      this.head,
      this.plot.element,
      this.legend,
    );
    this.fold = foldButton(this.element, "Timeline", false);
    const whole = button("×", () => store.set({ box: null }), {
      "aria-label": "Back to the whole range",
      title: "Back to the whole range",
      class: "x",
    });
    this.boxed = h(
      "span",
      { class: "chip text", hidden: true },
      h("span", {}, "only the box"),
      whole,
    );
    this.head.append(this.fold, this.values.element, this.splits.element);
    this.head.append(this.boxed, this.figures);
  }

  private get by(): string {
    const one = category(this.context);
    const { by } = this.context.store.state;
    if (by === "-") return "";
    return by || chartOf(one, "timeseries")?.by || "";
  }

  update(): void {
    const { store, range } = this.context;
    const value = valueColumn(this.context);
    this.drawHead(value);
    const { from, to } = bounds(this.context, "box");
    const points = Math.ceil((POINTS * (to - from)) / (range.to - range.from)) || 1;
    const query = question(this.context, "box");
    query.push(["value", value], ["by", this.by]);
    query.push(["n", String(SERIES)], ["points", String(points)]);
    const path = `/api/v1/timeseries/${store.state.table}`;
    void this.loader.ask<TimeseriesAnswer>(path, query, (answer) => {
      this.answer = answer;
      this.means = null;
      if (answer.aggregate === "avg") void this.askMeans(answer);
      this.measure();
      this.drawLegend();
      this.answered(answer);
      this.plot.paint();
    });
    this.plot.redraw();
  }

  /** The mean of steps is not the mean of rows, which steps have different numbers of. */
  private async askMeans(of: TimeseriesAnswer): Promise<void> {
    try {
      const by = [this.by, "hostname"].filter(Boolean);
      const [each, whole] = await Promise.all(by.map((name) => this.askGroups(name)));
      if (this.answer !== of || !each) return;
      this.means = meansOf(of, each, whole ?? each);
      this.drawLegend();
    } catch {
      // The chart is there; only the numbers beside it are not known.
    }
  }

  private askGroups(by: string): Promise<TopAnswer> {
    const value = valueColumn(this.context);
    const query = question(this.context, "box");
    query.push(["value", value], ["by", by], ["n", "1000"]);
    return get<TopAnswer>(`/api/v1/top/${this.context.store.state.table}`, query);
  }

  /** A box may hold too few intervals to see how long they are. */
  measureBy(whole: Steps): void {
    this.whole = whole;
    this.measure();
    this.plot.redraw();
  }

  private measure(): void {
    const longer = this.context.store.state.box ? this.whole : null;
    this.steps = this.answer && stepsOf(this.answer, longer);
  }

  private drawHead(value: string): void {
    this.boxed.hidden = !this.context.store.state.box;
    const one = category(this.context);
    const values = columnsWith(one, "value").map((c): [string, string] => [c.name, c.prettyname]);
    if (!values.some(([name]) => name === ROWS)) values.push([ROWS, "Rows"]);
    const by = columnsWith(one, "dimension").map((c): [string, string] => [
      c.name,
      `by ${c.prettyname.toLowerCase()}`,
    ]);
    this.values.update(values, value);
    this.splits.update([["-", "not split"], ...by], this.by || "-");
  }

  private drawLegend(): void {
    const { series, unit, meta, aggregate } = this.answer!;
    const { store } = this.context;
    const named = column(this.context, this.by);
    const averaged = aggregate === "avg";
    const all = averaged
      ? this.means?.whole
      : series.reduce((whole, one) => whole + sum(one.values), 0);
    const words = typeof all === "number" ? quantity(all, unit) : "…";
    const what = averaged ? "mean" : "sum";
    this.figures.textContent = `${what} ${words} · ${exact(meta.rows)} rows`;
    this.figures.title = cost(meta);
    const items = series.map((one, k) => {
      const square = h("i", { class: "swatch" });
      square.style.background = seriesColor(k, one.rest === true);
      const value = averaged ? this.means?.each.get(one.name) : sum(one.values);
      const words = typeof value === "number" ? quantity(value, unit) : "…";
      const text = `${short(plain(one.name), 80) || "(empty)"} ${words}`;
      if (!named || one.rest === true) return h("span", {}, square, text);
      const filter = oneOf(this.by, one.name, named.operators);
      const only = () => store.set({ filters: withFilter(store.state.filters, filter) });
      const item = button("", only, { title: `Only ${named.prettyname} ${one.name}` });
      item.append(square, text);
      return item;
    });
    replace(this.legend, ...(this.by ? items : []));
  }

  private timeAt(x: number): number {
    const { left, width } = this.plot.area;
    const { from, to } = this.context.range;
    const share = Math.max(0, Math.min(1, (x - left) / width));
    return from + share * (to - from);
  }

  private dragged(drag: Drag): void {
    if (Math.abs(drag.x1 - drag.x0) < 4) return;
    const [from, to] = [
      this.timeAt(Math.min(drag.x0, drag.x1)),
      this.timeAt(Math.max(drag.x0, drag.x1)),
    ];
    const { store } = this.context;
    const range = { from: iso(from), to: iso(to) };
    if (drag.shift) {
      store.set({ baseline: { ...store.state.baseline, ...range }, view: "compare" });
    } else {
      store.set({ ...range, live: false, box: null });
      this.context.refresh();
    }
  }

  private hover(x: number): string[] {
    this.pointer = x;
    const { answer, steps } = this;
    const { left, width } = this.plot.area;
    if (!answer?.times.length || x < left || x > left + width) return [];
    const time = this.timeAt(x);
    const { from, to } = bounds(this.context, "box");
    if (time < from || time > to) return [];
    const at = steps!.at(time);
    const rows = answer.series
      .map((one) => ({ name: one.name, value: one.values[at] ?? 0 }))
      .filter((one) => one.value)
      .sort((a, b) => b.value - a.value)
      .map(
        (one) =>
          `${quantity(one.value, answer.unit).padStart(9)}  ${short(plain(one.name), 80) || "all"}`,
      );
    return [steps!.text(at, this.context.store.state.zone), ...rows];
  }

  private paint(canvas: CanvasRenderingContext2D, area: Area): void {
    const { range, store } = this.context;
    const { answer } = this;
    const scale = area.width / (range.to - range.from);
    const xOf = (time: number) => area.left + (time - range.from) * scale;
    paintTimeAxis(canvas, area, range.from, range.to, store.state.zone);
    const { from, to } = bounds(this.context, "box");
    const shown = { ...area, left: Math.max(area.left, xOf(from)) };
    shown.width = Math.max(0, Math.min(area.left + area.width, xOf(to)) - shown.left);
    if (answer) paintSeries(canvas, area, shown, answer, this.steps!, xOf);
    canvas.fillStyle = cssColor("--line");
    canvas.fillRect(area.left, area.height, area.width, 1);
    const { box, view } = store.state;
    if (box) this.paintOutside(canvas, area, shown);
    if (view === "compare") {
      const compared = baselineRange(this.context);
      const left = Math.max(area.left, xOf(compared.from));
      const right = Math.min(area.left + area.width, xOf(compared.to));
      if (right > left) {
        paintBand(canvas, left, 0, right - left, area.height, cssColor("--baseline"));
      }
    }
    const { dragging } = this.plot;
    if (dragging) {
      const color = dragging.shift ? "--baseline" : "--accent";
      const left = Math.max(area.left, Math.min(dragging.x0, dragging.x1));
      const right = Math.min(area.left + area.width, Math.max(dragging.x0, dragging.x1));
      paintBand(canvas, left, 0, right - left, area.height, cssColor(color));
    } else if (this.pointer > area.left) {
      canvas.fillStyle = cssColor("--muted");
      canvas.fillRect(Math.round(this.pointer), 0, 1, area.height);
    }
  }

  private paintOutside(canvas: CanvasRenderingContext2D, area: Area, shown: Area): void {
    const end = shown.left + shown.width;
    canvas.fillStyle = cssColor("--hover");
    canvas.fillRect(area.left, 0, shown.left - area.left, area.height);
    canvas.fillRect(end, 0, area.left + area.width - end, area.height);
    canvas.fillStyle = cssColor("--accent");
    for (const x of [shown.left - 1, end]) canvas.fillRect(Math.round(x), 0, 1, area.height);
  }

  repaint(): void {
    this.plot.redraw();
  }
}

export function seriesColor(k: number, rest: boolean): string {
  return cssColor(rest ? "--series-rest" : `--series-${(k % 8) + 1}`);
}

/** `whole` has few groups; the rest of a split is what the named series leave of it. */
function meansOf(answer: TimeseriesAnswer, each: TopAnswer, whole: TopAnswer): Means {
  const complete = whole.groups === whole.entries.length;
  const all = complete ? together(whole.entries) : null;
  const found = new Map(each.entries.map((one) => [one.key.join(), one]));
  const means = new Map<string, number | null>();
  const named = answer.series.flatMap((one) => (one.rest ? [] : (found.get(one.name) ?? [])));
  for (const one of named) means.set(one.key.join(), one.value);
  const part = together(named);
  for (const { name, rest } of answer.series) {
    if (rest && all) means.set(name, (all.sum - part.sum) / (all.rows - part.rows));
  }
  return { whole: all && all.rows ? all.sum / all.rows : null, each: means };
}

function together(entries: TopAnswer["entries"]): { sum: number; rows: number } {
  const rows = entries.reduce((count, one) => count + one.rows, 0);
  return { rows, sum: entries.reduce((all, one) => all + (one.value ?? 0) * one.rows, 0) };
}

function sum(values: (number | null)[]): number {
  return values.reduce<number>((all, one) => all + (one ?? 0), 0);
}

function stepsOf(answer: TimeseriesAnswer, longer: Steps | null): Steps {
  const { times, step, series, aggregate } = answer;
  const mean = aggregate === "avg";
  const has = (value: number | null | undefined) => (mean ? value != null : !!value);
  const filled = times.map((_, k) => series.some((one) => has(one.values[k])));
  return new Steps(times, step, filled, longer);
}

function paintSeries(
  canvas: CanvasRenderingContext2D,
  area: Area,
  shown: Area,
  answer: TimeseriesAnswer,
  steps: Steps,
  xOf: (time: number) => number,
): void {
  const means = answer.aggregate === "avg";
  const [low, high] = means ? extent(answer) : [0, highest(answer)];
  if (low === high) return;
  const yOf = (value: number) => area.height - ((value - low) / (high - low)) * (area.height - 12);
  canvas.save();
  canvas.beginPath();
  canvas.rect(shown.left, 0, shown.width, area.height);
  canvas.clip();
  const paint = means ? paintLines : paintBars;
  paint(canvas, answer, steps, xOf, yOf);
  canvas.restore();
}

/** The most, the least, and for sums the time that each is of. */
function valueTexts(area: Area, answer: TimeseriesAnswer, steps: Steps): AxisText[] {
  if (!answer.times.length) return [];
  const means = answer.aggregate === "avg";
  const [low, high] = means ? extent(answer) : [0, highest(answer)];
  if (low === high) return [];
  const texts = [
    { text: axisText(high, answer.unit), y: 9 },
    { text: low ? axisText(low, answer.unit) : "0", y: area.height - 5 },
  ];
  if (!means) texts.push({ text: `per ${duration(steps.interval)}`, y: 22 });
  return texts;
}

function highest({ times, series }: TimeseriesAnswer): number {
  const sums = times.map((_, k) => series.reduce((all, one) => all + (one.values[k] ?? 0), 0));
  return Math.max(...sums, 0);
}

function extent({ series }: TimeseriesAnswer): [number, number] {
  const known = series.flatMap((one) => one.values).filter((one) => one !== null);
  if (!known.length) return [0, 0];
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  return [low, low === high ? low + 1 : high];
}

type Place = (value: number) => number;

function paintBars(
  canvas: CanvasRenderingContext2D,
  { times, series }: TimeseriesAnswer,
  steps: Steps,
  xOf: Place,
  yOf: Place,
): void {
  const base = new Float64Array(times.length);
  series.forEach((one, s) => {
    canvas.fillStyle = seriesColor(s, one.rest === true);
    times.forEach((_, k) => {
      const value = one.values[k] ?? 0;
      if (value <= 0) return;
      const [from, to] = steps.span(k);
      const [x, y] = [xOf(from), yOf(base[k]! + value)];
      const width = xOf(to) - x;
      canvas.fillRect(x, y, width > 4 ? width - 1 : width + 0.3, yOf(base[k]!) - y);
      base[k]! += value;
    });
  });
}

/** A line for each series; where nothing is known there is none. */
function paintLines(
  canvas: CanvasRenderingContext2D,
  { times, series }: TimeseriesAnswer,
  steps: Steps,
  xOf: Place,
  yOf: Place,
): void {
  canvas.lineWidth = 1.5;
  series.forEach((one, s) => {
    canvas.strokeStyle = seriesColor(s, one.rest === true);
    canvas.beginPath();
    let end = Number.NaN;
    times.forEach((_, k) => {
      const value = one.values[k] ?? null;
      if (value === null) return;
      const [from, to] = steps.span(k);
      if (from === end) canvas.lineTo(xOf(from), yOf(value));
      else canvas.moveTo(xOf(from), yOf(value));
      canvas.lineTo(xOf(to), yOf(value));
      end = to;
    });
    canvas.stroke();
  });
}

/** The newest row of all time: says whether there is data outside the range. */
export async function latestRow(table: string): Promise<number | null> {
  const query: [string, string][] = [
    ["from", "1970-01-02T00:00:00Z"],
    ["to", "2200-01-01T00:00:00Z"],
    ["limit", "1"],
    ["order", "-time"],
  ];
  const answer = await get<{ columns: string[]; rows: unknown[][] }>(
    `/api/v1/rows/${table}`,
    query,
  );
  const time = answer.rows[0]?.[answer.columns.indexOf("time")];
  return typeof time === "number" ? time : null;
}
