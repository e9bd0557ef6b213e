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
import { exact, quantity } from "../ui/format";
import { oneOf, withFilter } from "../state/filters";
import { foldButton } from "../ui/collapse";
import { cost, Loader } from "../api/loader";
import {
  addsUp,
  paintInside,
  series,
  seriesColor,
  stepsOf,
  type Drawing,
  type Times,
} from "./marks";
import {
  paintBand,
  paintTimeAxis,
  Plot,
  timeAt,
  xOfTime,
  type Area,
  type Drag,
  type Steps,
} from "./plot";
import { iso } from "../state/ranges";
import { square } from "../ui/swatch";
import { plain, short } from "../ui/text";
import type { Timeseries, Top } from "../../generated/types";

const SERIES = 7;
/** How many steps the range is cut into, at most; the heatmap's is cut alike. */
const POINTS = 120;

interface Means {
  whole: number | null;
  each: Map<string, number | null>;
}

export class Timeline {
  readonly element: HTMLElement;
  private readonly head = h("div.head");
  private readonly legend = h("div.legend");
  private readonly figures = h("span.number.figures");
  private readonly boxed: HTMLElement;
  private readonly loader = new Loader("Summing over time");
  private readonly values: Select;
  private readonly splits: Select;
  private readonly plot: Plot;
  private answer: Timeseries | null = null;
  private drawing: Drawing | null = null;
  /** Of what is averaged: over all rows of the range, and of each series. */
  private means: Means | null = null;
  /** The heatmap's, which are of the whole range. */
  private whole: Steps | null = null;
  private readonly fold: HTMLElement;
  answered: (answer: Timeseries) => void = () => undefined;

  constructor(private readonly context: Context) {
    this.plot = new Plot("Timeline. Drag to choose a time range.", context.gutter, {
      axis: (area) => this.drawing?.axis(area) ?? [],
      paint: (canvas, area) => this.paint(canvas, area),
      dragged: (drag) => this.dragged(drag),
      hover: ({ x }) => this.hover(x),
    });
    this.plot.element.append(this.loader.element);
    this.loader.over(this.plot.canvas, this.legend, this.figures);
    const { store } = context;
    this.values = new Select("Value", (value) => store.set({ value }));
    this.splits = new Select("Split by", (by) => store.set({ by }));
    this.element = h(
      "section.timeline",
      { "aria-label": "Timeline" },
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
    this.boxed = h("span.chip.text", { hidden: true }, h("span", "only the box"), whole);
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
    void this.loader.ask<Timeseries>(path, query, (answer) => {
      this.answer = answer;
      this.means = null;
      if (answer.aggregate === "avg") void this.askMeans(answer);
      this.measure();
      this.drawLegend(answer);
      this.answered(answer);
      this.plot.paint();
    });
    this.plot.redraw();
  }

  /** The mean of steps is not the mean of rows, which steps have different numbers of. */
  private async askMeans(of: Timeseries): Promise<void> {
    try {
      const by = [this.by, "hostname"].filter(Boolean);
      const [each, whole] = await Promise.all(by.map((name) => this.askGroups(name)));
      if (this.answer !== of || !each) return;
      this.means = meansOf(of, each, whole ?? each);
      this.drawLegend(of);
    } catch {
      // The chart is there; only the numbers beside it are not known.
    }
  }

  private askGroups(by: string): Promise<Top> {
    const value = valueColumn(this.context);
    const query = question(this.context, "box");
    query.push(["value", value], ["by", by], ["n", "1000"]);
    return get<Top>(`/api/v1/top/${this.context.store.state.table}`, query);
  }

  /** A box may hold too few intervals to see how long they are. */
  measureBy(whole: Steps): void {
    this.whole = whole;
    this.measure();
    this.plot.redraw();
  }

  private measure(): void {
    const { answer } = this;
    const longer = this.context.store.state.box ? this.whole : null;
    this.drawing = answer && series(answer, addsUp(answer.aggregate), stepsOf(answer, longer));
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

  private drawLegend({ series, unit, meta, aggregate }: Timeseries): void {
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
      const color = square(seriesColor(k, one.rest));
      const value = averaged ? this.means?.each.get(one.name) : sum(one.values);
      const words = typeof value === "number" ? quantity(value, unit) : "…";
      const text = `${short(plain(one.name), 80) || "(empty)"} ${words}`;
      if (!named || one.rest === true) return h("span", color, text);
      const filter = oneOf(this.by, one.name, named.operators);
      const only = () => store.set({ filters: withFilter(store.state.filters, filter) });
      const item = button("", only, { title: `Only ${named.prettyname} ${one.name}` });
      item.append(color, text);
      return item;
    });
    replace(this.legend, ...(this.by ? items : []));
  }

  private get times(): Times {
    return { ...this.context.range, zone: this.context.store.state.zone };
  }

  private dragged(drag: Drag): void {
    if (Math.abs(drag.to.x - drag.from.x) < 4) return;
    const { store } = this.context;
    const ends = [drag.from, drag.to].map(({ x }) => timeAt(x, this.plot.area, this.times));
    const range = { from: iso(Math.min(...ends)), to: iso(Math.max(...ends)) };
    if (drag.shift) {
      store.set({ "base.from": range.from, "base.to": range.to, view: "compare" });
    } else {
      store.set({ ...range, live: false, box: null });
      this.context.refresh();
    }
  }

  private hover(x: number): string[] {
    const { area } = this.plot;
    const time = timeAt(x, area, this.times);
    const { from, to } = bounds(this.context, "box");
    return time < from || time > to ? [] : (this.drawing?.at(x, 0, area, this.times) ?? []);
  }

  private paint(canvas: CanvasRenderingContext2D, area: Area): void {
    const { range, store } = this.context;
    const xOf = xOfTime(area, range);
    paintTimeAxis(canvas, area, range.from, range.to, store.state.zone);
    const { from, to } = bounds(this.context, "box");
    const shown = { ...area, left: Math.max(area.left, xOf(from)) };
    shown.width = Math.max(0, Math.min(area.left + area.width, xOf(to)) - shown.left);
    if (this.drawing) paintInside(canvas, area, shown, this.drawing, this.times);
    const { box, view } = store.state;
    if (box) this.paintOutside(canvas, area, shown);
    const band = (start: number, end: number, color: string) =>
      paintBand(canvas, area, { x: start, y: 0 }, { x: end, y: area.height }, color);
    if (view === "compare") {
      const compared = baselineRange(this.context);
      band(xOf(compared.from), xOf(compared.to), "--baseline");
    }
    const { dragging, pointer } = this.plot;
    if (dragging) {
      band(dragging.from.x, dragging.to.x, dragging.shift ? "--baseline" : "--accent");
    } else if (pointer && pointer.x > area.left) {
      canvas.fillStyle = cssColor("--muted");
      canvas.fillRect(Math.round(pointer.x), 0, 1, area.height);
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
}

/** `whole` has few groups; the rest of a split is what the named series leave of it. */
function meansOf(answer: Timeseries, each: Top, whole: Top): Means {
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

function together(entries: Top["entries"]): { sum: number; rows: number } {
  const rows = entries.reduce((count, one) => count + one.rows, 0);
  return { rows, sum: entries.reduce((all, one) => all + (one.value ?? 0) * one.rows, 0) };
}

function sum(values: (number | null)[]): number {
  return values.reduce<number>((all, one) => all + (one ?? 0), 0);
}
