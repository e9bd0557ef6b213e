// Values over time: bars on each other where they add up, else a line for each series.

import type { Timeseries } from "../../generated/types";
import { cssColor } from "../ui/dom";
import { asItIs, rateOf, type Rate } from "../ui/rates";
import { COLORS, stateToken } from "../ui/states";
import { swatch } from "../ui/swatch";
import { plain, short } from "../ui/text";
import { timeAt, xOfTime, type Canvas, type Drawing, type Place, type Told } from "./drawing";
import { Scale } from "./scale";
import { joined, single, Steps } from "./steps";

/** How opaque a step is that an end of the range cuts. */
const CUT = 0.6;

export function seriesColor(k: number, rest = false): string {
  return cssColor(rest ? "--s0" : `--s${(k % COLORS) + 1}`);
}

export function nameText(name: string, most = 80): string {
  return short(plain(name), most);
}

/** Whether the whole is the sum of its parts. */
export function addsUp(aggregate: string): boolean {
  return aggregate === "sum" || aggregate === "count";
}

/** The sum of an answer's values. */
export function sum(values: (number | null)[]): number {
  return values.reduce<number>((all, one) => all + (one ?? 0), 0);
}

/** A series with its values as they are drawn: rates, or means. */
interface Line {
  name: string;
  rest: boolean;
  color: string;
  values: (number | null)[];
}

/** A time series in steps that are drawn, in the unit as people think. */
export class Lines {
  readonly steps: Steps;
  readonly rate: Rate;
  readonly stacked: boolean;
  readonly lines: Line[];

  /** `states`: what the series are, where each has its own colour. */
  constructor(
    readonly answer: Timeseries,
    states: string[],
  ) {
    const { times, step, series, aggregate, unit, meta } = answer;
    this.stacked = addsUp(aggregate);
    const { stacked } = this;
    const drawn = stacked ? joined(times, step, meta) : single(times);
    const sums = series.map(({ values }) => drawn.groups.map((group) => whole(values, group)));
    const has = (value: number | null) => (stacked ? !!value : value !== null);
    const filled = drawn.groups.map((_, k) => sums.some((values) => has(values[k])));
    this.steps = new Steps(drawn.times, step, filled, meta);
    const lengths = drawn.groups.map((_, k) => this.steps.length(k));
    this.rate = stacked ? rateOf(unit, answer.rate, most(sums, lengths)) : asItIs(unit);
    const rates = (values: (number | null)[]) =>
      values.map((value, k) => (value === null ? null : this.rate.of(value, lengths[k])));
    this.lines = series.map(({ name, rest }, s) => {
      const token = stateToken(name, states);
      const color = token ? cssColor(token) : seriesColor(s, rest);
      return { name, rest, color, values: rates(sums[s]) };
    });
  }

  /** The lowest and the highest value that is drawn; 0 is always between them. */
  extent(): [number, number] {
    const { lines, stacked, steps } = this;
    if (!stacked) {
      const known = lines.flatMap(({ values }) => values).filter((one) => one !== null);
      return [Math.min(0, ...known), Math.max(0, ...known)];
    }
    const all = Array.from({ length: steps.count }, (_, k) => k);
    // A cut step may stand out, and is no measure of the others.
    const whole = all.filter((k) => !steps.cut(k));
    const sums = (sign: 1 | -1) =>
      (whole.length > 2 ? whole : all).map((k) =>
        lines.reduce((sum, { values }) => sum + Math.max(0, sign * (values[k] ?? 0)), 0),
      );
    return [-Math.max(0, ...sums(-1)) || 0, Math.max(0, ...sums(1))];
  }
}

function whole(values: (number | null)[], group: number[]): number | null {
  return group.length === 1 ? values[group[0]] : sum(group.map((k) => values[k]));
}

/** The highest sum a second. */
function most(sums: (number | null)[][], lengths: number[]): number {
  return lengths.reduce((highest, us, k) => {
    const all = sums.reduce((step, values) => step + (values[k] ?? 0), 0);
    return us > 0 ? Math.max(highest, (all / us) * 1e6) : highest;
  }, 0);
}

/** Values over time: bars on each other, or a line per series. */
export function series(answer: Timeseries, states: string[]): Drawing {
  return drawn(new Lines(answer, states));
}

export function drawn(lines: Lines): Drawing {
  const { steps, rate } = lines;
  const { times, by } = lines.answer;
  const scale = new Scale(...lines.extent(), rate.unit, rate.short);
  return {
    timed: true,
    axis: (area) => (times.length ? scale.texts(area) : []),
    paint(canvas, area, shown) {
      scale.paint(canvas, area);
      const paint = lines.stacked ? paintBars : paintLines;
      paint(canvas, lines, xOfTime(area, shown), scale.yOf(area));
    },
    at(x, y, area, shown) {
      if (!times.length || y > area.height) return null;
      const k = steps.at(timeAt(x, area, shown));
      return { title: steps.text(k, shown.zone), lines: told(lines, k, y, scale.yOf(area)) };
    },
    around: (one, other) => steps.around(one, other),
    legend: () =>
      lines.lines
        .filter(() => by)
        .map(({ name, color }) => swatch(color, nameText(name) || "(empty)")),
  };
}

/** The series at a step, the largest first; `near` is the one at the height of the pointer. */
function told({ lines, rate, stacked }: Lines, k: number, y: number, yOf: Place): Told["lines"] {
  let base = 0;
  const found = lines.map(({ name, color, values }) => {
    const value = values[k] ?? 0;
    const near = stacked && y <= yOf(base) && y > yOf(base + value);
    base += value;
    return { name: nameText(name) || "all", color, value, near };
  });
  const unit = rate.short && !rate.short.startsWith("/") ? ` ${rate.short}` : rate.short;
  return found
    .filter(({ value }) => value)
    .sort((a, b) => b.value - a.value)
    .map((one) => ({ ...one, value: `${rate.text(one.value)}${unit}` }));
}

type PaintSeries = (canvas: Canvas, lines: Lines, xOf: Place, yOf: Place) => void;

const paintBars: PaintSeries = (canvas, { lines, steps }, xOf, yOf) => {
  const count = lines[0]?.values.length ?? 0;
  const bases = { up: new Float64Array(count), down: new Float64Array(count) };
  const spans = Array.from({ length: count }, (_, k) => steps.span(k).map(xOf));
  for (const { values, color } of lines) {
    canvas.fillStyle = color;
    values.forEach((value, k) => {
      if (!value) return;
      const base = value > 0 ? bases.up : bases.down;
      const [x, end] = spans[k];
      const y = yOf(base[k] + value);
      const width = end - x;
      canvas.globalAlpha = steps.cut(k) ? CUT : 1;
      canvas.fillRect(x, y, width > 4 ? width - 1 : width + 0.3, yOf(base[k]) - y);
      base[k] += value;
    });
  }
  canvas.globalAlpha = 1;
};

/** A line per series; there is none while the value is unknown. */
const paintLines: PaintSeries = (canvas, { lines, steps }, xOf, yOf) => {
  canvas.lineWidth = 1.5;
  for (const { values, color } of lines) {
    canvas.strokeStyle = color;
    canvas.beginPath();
    let end = Number.NaN;
    values.forEach((value, k) => {
      if (value === null) return;
      const [from, to] = steps.span(k);
      if (from === end) canvas.lineTo(xOf(from), yOf(value));
      else canvas.moveTo(xOf(from), yOf(value));
      canvas.lineTo(xOf(to), yOf(value));
      end = to;
    });
    canvas.stroke();
  }
};
