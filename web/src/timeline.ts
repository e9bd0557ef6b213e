// How much over time, split by a column; a drag chooses the range.

import { get } from "./api";
import {
  category,
  chartOf,
  column,
  columnsWith,
  question,
  ROWS,
  valueColumn,
  type Context,
} from "./context";
import { button, cssColor, h, replace, select } from "./dom";
import { dateTime, exact, quantity, zoneName } from "./format";
import { withFilter } from "./filters";
import { cost, Loader } from "./loader";
import { intervalSteps, paintBand, paintTimeAxis, Plot, type Area, type Drag } from "./plot";
import { iso, moment } from "./ranges";
import type { TimeseriesAnswer } from "./types";

const SERIES = 7;

export class Timeline {
  readonly element: HTMLElement;
  private readonly head = h("div", { class: "head" });
  private readonly legend = h("div", { class: "legend" });
  private readonly figures = h("span", { class: "number figures" });
  private readonly loader = new Loader("Summing over time");
  private readonly plot: Plot;
  private answer: TimeseriesAnswer | null = null;
  private pointer = -1;
  answered: (answer: TimeseriesAnswer) => void = () => undefined;

  constructor(private readonly context: Context) {
    this.plot = new Plot("Timeline. Drag to choose a time range.", {
      paint: (canvas, area) => this.paint(canvas, area),
      dragged: (drag) => this.dragged(drag),
      clicked: () => undefined,
      hover: (x) => this.hover(x),
      cancel: () => undefined,
    });
    this.plot.element.append(this.loader.element);
    this.element = h(
      "section",
      { class: "timeline", "aria-label": "Timeline" },
      this.head,
      this.plot.element,
      this.legend,
    );
  }

  private get by(): string {
    const one = category(this.context);
    const { by } = this.context.store.state;
    if (by === "-") return "";
    return by || chartOf(one, "timeseries")?.by || "";
  }

  update(): void {
    const { store } = this.context;
    const value = valueColumn(this.context);
    this.drawHead(value);
    const query = question(this.context, "box values");
    query.push(["value", value], ["by", this.by]);
    query.push(["n", String(SERIES)], ["points", "120"]);
    const path = `/api/v1/timeseries/${store.state.table}`;
    void this.loader.ask<TimeseriesAnswer>(path, query, (answer) => {
      this.answer = answer;
      this.drawLegend();
      this.answered(answer);
      this.plot.paint();
    });
    this.plot.redraw();
  }

  private drawHead(value: string): void {
    const { store } = this.context;
    const one = category(this.context);
    const values = columnsWith(one, "value").map((c): [string, string] => [c.name, c.prettyname]);
    if (!values.some(([name]) => name === ROWS)) values.push([ROWS, "Rows"]);
    const by = columnsWith(one, "dimension").map((c): [string, string] => [
      c.name,
      `by ${c.prettyname.toLowerCase()}`,
    ]);
    replace(
      this.head,
      select("Value", values, value, (name) => store.set({ value: name })),
      select("Split by", [["-", "not split"], ...by], this.by || "-", (name) =>
        store.set({ by: name }),
      ),
      this.figures,
    );
  }

  private drawLegend(): void {
    const { series, unit, meta, aggregate } = this.answer!;
    const total = (values: (number | null)[]) => values.reduce<number>((a, b) => a + (b ?? 0), 0);
    const { store } = this.context;
    const named = column(this.context, this.by);
    const all = series.reduce((sum, one) => sum + total(one.values), 0);
    const amount = aggregate === "avg" ? "mean" : `sum ${quantity(all, unit)}`;
    this.figures.textContent = `${amount} · ${exact(meta.rows)} rows · ${meta.source}`;
    this.figures.title = cost(meta);
    const items = series.map((one, k) => {
      const square = h("i", { class: "swatch" });
      square.style.background = seriesColor(k, one.rest === true);
      const text = `${one.name || "(empty)"} ${quantity(total(one.values), unit)}`;
      if (!named || one.rest === true) return h("span", {}, square, text);
      const filter = { column: this.by, op: "eq", value: one.name };
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
    const { answer } = this;
    if (!answer?.times.length) return [];
    const time = this.timeAt(x);
    const at = Math.floor((time - answer.times[0]!) / answer.step);
    if (at < 0 || at >= answer.times.length) return [];
    const { zone } = this.context.store.state;
    const rows = answer.series
      .map((one) => ({ name: one.name, value: one.values[at] ?? 0 }))
      .filter((one) => one.value)
      .sort((a, b) => b.value - a.value)
      .map((one) => `${quantity(one.value, answer.unit).padStart(9)}  ${one.name || "all"}`);
    return [`${dateTime(answer.times[at]!, zone, answer.step < 1e6)} ${zoneName(zone)}`, ...rows];
  }

  private paint(canvas: CanvasRenderingContext2D, area: Area): void {
    const { range, store } = this.context;
    const { answer } = this;
    const scale = area.width / (range.to - range.from);
    const xOf = (time: number) => area.left + (time - range.from) * scale;
    paintTimeAxis(canvas, area, range.from, range.to, store.state.zone);
    if (answer) paintSeries(canvas, area, answer, xOf);
    canvas.fillStyle = cssColor("--line");
    canvas.fillRect(area.left, area.height, area.width, 1);
    const { box, view, baseline } = store.state;
    if (box) paintBand(canvas, xOf(box.from), 0, (box.to - box.from) * scale, area.height);
    if (view === "compare" && baseline.from) {
      const [from, to] = [moment(baseline.from) ?? range.from, moment(baseline.to) ?? range.to];
      const left = Math.max(area.left, xOf(from));
      const right = Math.min(area.left + area.width, xOf(to));
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

  repaint(): void {
    this.plot.redraw();
  }
}

export function seriesColor(k: number, rest: boolean): string {
  return cssColor(rest ? "--series-rest" : `--series-${(k % 8) + 1}`);
}

function paintSeries(
  canvas: CanvasRenderingContext2D,
  area: Area,
  answer: TimeseriesAnswer,
  xOf: (time: number) => number,
): void {
  const { times, series, step } = answer;
  const sums = times.map((_, k) => series.reduce((all, one) => all + (one.values[k] ?? 0), 0));
  const most = Math.max(...sums, 0);
  if (!most) return;
  canvas.save();
  canvas.beginPath();
  canvas.rect(area.left, 0, area.width, area.height);
  canvas.clip();
  const top = 12;
  const unit = (area.height - top) / most;
  const base = new Float64Array(times.length);
  const reach = step * (intervalSteps(sums.map(Boolean)) - 1);
  series.forEach((one, s) => {
    canvas.fillStyle = seriesColor(s, one.rest === true);
    times.forEach((time, k) => {
      const height = (one.values[k] ?? 0) * unit;
      if (height <= 0) return;
      const x = xOf(time - reach);
      const width = xOf(time + step) - x;
      const y = area.height - base[k]! - height;
      canvas.fillRect(x, y, width > 4 ? width - 1 : width + 0.3, height);
      base[k]! += height;
    });
  });
  canvas.restore();
  canvas.fillStyle = cssColor("--muted");
  canvas.textBaseline = "top";
  canvas.textAlign = "right";
  canvas.fillText(quantity(most, answer.unit), area.left - 6, 4);
  canvas.fillText("0", area.left - 6, area.height - 10);
  canvas.textAlign = "left";
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
