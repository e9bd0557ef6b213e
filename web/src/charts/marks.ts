// How answers are drawn on a plot: the timeline, the heatmap and all further charts.

import type { Heatmap, Histogram, Timeseries, Top, Mark } from "../../generated/types";
import { cssColor } from "../ui/dom";
import { axisText, exact, quantity, roundSteps, trimmed, type Zone } from "../ui/format";
import { ramp, swatch } from "../ui/swatch";
import { plain, short } from "../ui/text";
import { paintTexts, Steps, timeAt, xOfTime, type Area, type AxisText } from "./plot";

type Canvas = CanvasRenderingContext2D;
type Place = (value: number) => number;

/** The range of a plot, in microseconds, and the zone of its texts. */
export interface Times {
  from: number;
  to: number;
  zone: Zone;
}

/** An answer that is ready to be drawn. */
export interface Drawing {
  /** Whether a time axis belongs below it. */
  timed: boolean;
  /** The texts of the y axis. */
  axis(area: Area): AxisText[];
  paint(canvas: Canvas, area: Area, times: Times): void;
  /** The lines of the tooltip at a place; none beside the marks. */
  at(x: number, y: number, area: Area, times: Times): string[];
  legend(): HTMLElement[];
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

/** Space above the highest value. */
const HEADROOM = 12;
/** From this height on, round values between the lowest and the highest are marked. */
const TALL = 120;

function nameText(name: string, most = 80): string {
  return short(plain(name), most);
}

function sizeText(low: number, high: number, unit: string): string {
  return `${quantity(low, unit)} to ${quantity(high, unit)}`;
}

// Values over time

export function seriesColor(k: number, rest = false): string {
  return cssColor(rest ? "--series-rest" : `--series-${(k % 8) + 1}`);
}

/** Whether the whole is the sum of its parts. */
export function addsUp(aggregate: string): boolean {
  return aggregate === "sum" || aggregate === "count";
}

/** The steps of an answer; `longer` are those of a longer time. */
export function stepsOf(answer: Timeseries, longer: Steps | null = null): Steps {
  const { times, step, series, aggregate } = answer;
  const adds = addsUp(aggregate);
  const has = (value: number | null | undefined) => (adds ? !!value : value != null);
  const filled = times.map((_, k) => series.some((one) => has(one.values[k])));
  return new Steps(times, step, filled, longer);
}

/** Values over time: stacked areas, or a line per series. */
export function series(answer: Timeseries, stacked: boolean, steps = stepsOf(answer)): Drawing {
  const { unit, times } = answer;
  const [low, high] = stacked ? stackedExtent(answer) : extent(answer);
  const scale = new Scale(low, high, unit, stacked ? 0 : 1);
  const step = stacked ? `per ${trimmed(quantity(steps.interval, "us"))}` : "";
  const paint = stacked ? paintAreas : paintLines;
  return {
    timed: true,
    axis: (area) => (times.length ? scale.texts(area, step) : []),
    paint(canvas, area, shown) {
      scale.paint(canvas, area);
      paint(canvas, answer, steps, xOfTime(area, shown), scale.yOf(area));
    },
    at(x, _, area, shown) {
      const at = steps.at(timeAt(x, area, shown));
      const rows = answer.series
        .map((one) => ({ name: one.name, value: one.values[at] ?? 0 }))
        .filter((one) => one.value)
        .sort((a, b) => b.value - a.value)
        .map(
          ({ name, value }) => `${quantity(value, unit).padStart(9)}  ${nameText(name) || "all"}`,
        );
      return times.length ? [steps.text(at, shown.zone), ...rows] : [];
    },
    legend: () =>
      answer.series
        .filter(() => answer.by)
        .map(({ name, rest }, k) => swatch(seriesColor(k, rest), nameText(name) || "(empty)")),
  };
}

/** The values of a plot, from the lowest to the highest, and `below` pixels under the lowest. */
class Scale {
  constructor(
    private readonly low: number,
    private readonly high: number,
    private readonly unit: string,
    private readonly below = 0,
  ) {}

  yOf({ height }: Area): Place {
    const { low, high, below } = this;
    const room = Math.max(1, height - HEADROOM - below);
    return (value) => height - below - ((value - low) / (high - low || 1)) * room;
  }

  /** The highest and the lowest value, round ones between them, and the length of a step. */
  texts(area: Area, step = ""): AxisText[] {
    const { low, high, unit } = this;
    const ends = [{ text: low ? axisText(low, unit) : "0", y: area.height - 5 }];
    if (low === high) return ends;
    ends.unshift({ text: axisText(high, unit), y: 9 });
    if (step) ends.splice(1, 0, { text: step, y: 22 });
    const yOf = this.yOf(area);
    const between = this.levels(area).map((value) => ({
      text: value ? trimmed(axisText(value, unit)) : "0",
      y: yOf(value),
    }));
    return [...ends, ...between.filter(({ y }) => ends.every((end) => Math.abs(end.y - y) >= 13))];
  }

  private levels({ height }: Area): number[] {
    const { low, high, unit } = this;
    return height < TALL ? [] : roundSteps(low, high, Math.floor(height / 40), unit);
  }

  /** A line at each round value. */
  paint(canvas: Canvas, area: Area): void {
    const yOf = this.yOf(area);
    canvas.fillStyle = cssColor("--line");
    for (const value of this.levels(area)) {
      canvas.fillRect(area.left, Math.round(yOf(value)), area.width, 1);
    }
  }
}

function stackedExtent({ times, series }: Timeseries): [number, number] {
  const sums = (sign: 1 | -1) =>
    times.map((_, k) =>
      series.reduce((all, { values }) => all + Math.max(0, sign * (values[k] ?? 0)), 0),
    );
  return [-Math.max(0, ...sums(-1)) || 0, Math.max(0, ...sums(1))];
}

function extent({ series }: Timeseries): [number, number] {
  const known = series.flatMap((one) => one.values).filter((one) => one !== null);
  return [Math.min(0, ...known), Math.max(0, ...known)];
}

type PaintSeries = (
  canvas: Canvas,
  answer: Timeseries,
  steps: Steps,
  xOf: Place,
  yOf: Place,
) => void;

const paintAreas: PaintSeries = (canvas, { times, series }, steps, xOf, yOf) => {
  const bases = { up: new Float64Array(times.length), down: new Float64Array(times.length) };
  series.forEach((one, s) => {
    canvas.fillStyle = seriesColor(s, one.rest);
    times.forEach((_, k) => {
      const value = one.values[k] ?? 0;
      if (!value) return;
      const base = value > 0 ? bases.up : bases.down;
      const [from, to] = steps.span(k);
      const [x, start] = [xOf(from), base[k] ?? 0];
      const width = xOf(to) - x;
      base[k] = start + value;
      const y = yOf(start + value);
      canvas.fillRect(x, y, width > 4 ? width - 1 : width + 0.3, yOf(start) - y);
    });
  });
};

/** A line per series; there is none while the value is unknown. */
const paintLines: PaintSeries = (canvas, { times, series }, steps, xOf, yOf) => {
  canvas.lineWidth = 1.5;
  series.forEach((one, s) => {
    canvas.strokeStyle = seriesColor(s, one.rest);
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
};

// Sizes over time

const HEATS = Array.from({ length: 8 }, (_, k) => `--heat-${k + 1}`);
const RAMP = HEATS.map((name) => `var(${name})`);

export function cellSteps({ times, step, counts }: Heatmap): Steps {
  const filled = counts.map((slots) => slots.some(Boolean));
  return new Steps(times, step, filled);
}

/** The slot at a height of the plot. */
export function slotAt(y: number, area: Area, slots: number): number {
  return Math.max(0, Math.min(slots - 1, Math.floor((1 - y / area.height) * slots)));
}

/** Time across, size upward, the number of events as colour. */
export function cells(answer: Heatmap, steps = cellSteps(answer)): Drawing {
  const { lower, upper, counts, unit } = answer;
  const most = counts.reduce((all, row) => row.reduce((a, b) => Math.max(a, b), all), 0);
  return {
    timed: true,
    axis: (area) => slotTexts(area, lower, unit),
    paint: (canvas, area, times) =>
      paintCells(canvas, area, answer, steps, most, xOfTime(area, times)),
    at(x, y, area, times) {
      if (!lower.length || y > area.height) return [];
      const [k, row] = [steps.at(timeAt(x, area, times)), slotAt(y, area, lower.length)];
      const events = `${exact(counts[k]?.[row] ?? 0)} events`;
      const size = sizeText(lower[row] ?? 0, lower[row + 1] ?? upper, unit);
      return [steps.text(k, times.zone), size, events];
    },
    legend: () => (most ? [ramp(RAMP, "1", `${exact(most)} events`)] : []),
  };
}

/** Counts differ by powers of ten, so colour follows their logarithm. */
function paintCells(
  canvas: Canvas,
  area: Area,
  { counts, lower }: Heatmap,
  steps: Steps,
  most: number,
  xOf: Place,
): void {
  const colors = HEATS.map(cssColor);
  const row = area.height / lower.length;
  counts.forEach((slots, k) => {
    const [from, to] = steps.span(k);
    const x = xOf(from);
    const width = xOf(to) - x;
    slots.forEach((count, r) => {
      if (!count) return;
      const heat = most > 1 ? Math.log(count) / Math.log(most) : 1;
      canvas.fillStyle =
        colors[Math.min(colors.length - 1, Math.floor(heat * colors.length))] ?? "";
      const y = area.height - (r + 1) * row;
      canvas.fillRect(x, y, width > 5 ? width - 0.5 : width + 0.3, row > 5 ? row - 0.5 : row + 0.3);
    });
  });
}

/** Next to each slot's lower edge; the lowest is above the time axis and keeps the next away. */
function slotTexts(area: Area, lower: number[], unit: string): AxisText[] {
  const row = area.height / lower.length;
  const every = Math.max(1, Math.ceil(15 / row));
  return lower
    .map((low, r) => ({
      text: axisText(low, unit),
      y: r ? area.height - r * row : area.height - 6,
    }))
    .filter(({ y }, r) => r % every === 0 && (!r || (y > 6 && y < area.height - 18)));
}

// Sizes

/** Sizes across, the number of events upward. */
export function bars({ lower, upper, counts, unit }: Histogram): Drawing {
  const high = Math.max(0, ...counts);
  const scale = new Scale(0, high, "events");
  return {
    timed: false,
    axis: (area) => scale.texts(area),
    paint(canvas, area) {
      const yOf = scale.yOf(area);
      scale.paint(canvas, area);
      const width = area.width / lower.length;
      canvas.fillStyle = seriesColor(0);
      counts.forEach((count, k) => {
        const y = yOf(count);
        if (count)
          canvas.fillRect(area.left + k * width, y, Math.max(1, width - 1), area.height - y);
      });
      const texts = lower.map((low, k) => ({
        x: area.left + k * width,
        text: trimmed(axisText(low, unit)),
      }));
      paintTexts(canvas, area, texts);
    },
    at(x, _, area) {
      const k = Math.floor(((x - area.left) / area.width) * lower.length);
      const [low, count] = [lower[k], counts[k]];
      if (low === undefined || count === undefined) return [];
      return [sizeText(low, lower[k + 1] ?? upper, unit), `${exact(count)} events`];
    },
    legend: () => [],
  };
}

// Groups

/** The largest groups, each with its name and its value. */
export function ranking({ entries, unit }: Top): Drawing {
  const rows = entries.map(({ key, value }) => ({
    name: plain(key.join(", ")),
    value: value ?? 0,
  }));
  const values = rows.map(({ value }) => value);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const texts = values.map((value) => quantity(value, unit));
  return {
    timed: false,
    axis({ height }) {
      const row = height / rows.length;
      const every = Math.ceil(12 / row);
      return rows
        .map(({ name }, k) => ({ text: short(name, 24) || "(empty)", y: (k + 0.5) * row }))
        .filter((_, k) => k % every === 0);
    },
    paint(canvas, { left, width, height }) {
      const row = height / rows.length;
      const room = Math.max(0, ...texts.map((text) => canvas.measureText(text).width)) + 10;
      const xOf = (value: number) =>
        left + ((value - low) / (high - low || 1)) * Math.max(1, width - room);
      canvas.textBaseline = "middle";
      values.forEach((value, k) => {
        const [x, end] = [xOf(0), xOf(value)].sort((a, b) => a - b) as [number, number];
        canvas.fillStyle = seriesColor(0);
        const height = Math.max(1, Math.min(22, row - 2));
        canvas.fillRect(x, (k + 0.5) * row - height / 2, Math.max(1, end - x), height);
        canvas.fillStyle = cssColor("--muted");
        if (row >= 12) canvas.fillText(texts[k] ?? "", end + 6, (k + 0.5) * row);
      });
    },
    at(_, y, { height }) {
      const row = rows[Math.floor((y / height) * rows.length)];
      return row ? [short(row.name) || "(empty)", quantity(row.value, unit)] : [];
    },
    legend: () => [],
  };
}

/** The marks of charts, except the flame graph, which has its own view; each takes its own answer. */
export const MARKS: Record<Exclude<Mark, "flame">, (answer: never) => Drawing> = {
  area: (answer: Timeseries) => series(answer, true),
  line: (answer: Timeseries) => series(answer, false),
  cells: (answer: Heatmap) => cells(answer),
  bars,
  ranking,
};
