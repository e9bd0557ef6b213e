// Sizes over time: time across, size upward, the time spent or the number of events as colour.

import type { Heatmap } from "../../generated/types";
import { cssColor } from "../ui/dom";
import { axisText, exact, quantity, trimmed } from "../ui/format";
import { rateOf, type Rate } from "../ui/rates";
import { ramp } from "../ui/swatch";
import {
  slotAt,
  timeAt,
  xOfTime,
  type Area,
  type AxisText,
  type Canvas,
  type Drawing,
  type Place,
} from "./drawing";
import { joined, Steps } from "./steps";

const HEATS = Array.from({ length: 8 }, (_, k) => `--h${k + 1}`);
const RAMP = HEATS.map((name) => `var(${name})`);
/** How much darker a cell of the highest weight is than one of a hundredth of it. */
const CONTRAST = { time: 40, events: 400 };

export type Weigh = keyof typeof CONTRAST;

export function sizeText(low: number, high: number, unit: string): string {
  return `${trimmed(quantity(low, unit))} to ${trimmed(quantity(high, unit))}`;
}

/** The cells of a heatmap, in steps that are drawn. */
class Cells {
  readonly steps: Steps;
  readonly counts: number[][];
  /** The weight of each cell, which its colour shows. */
  readonly weights: number[][];
  readonly most: number;
  readonly rate: Rate;

  constructor(
    readonly answer: Heatmap,
    readonly weigh: Weigh,
  ) {
    const { times, step, counts, weights, rate, meta } = answer;
    const drawn = joined(times, step, meta);
    const add = (rows: number[][]) => (group: number[]) =>
      rows[group[0]].map((_, r) => group.reduce((all, k) => all + rows[k][r], 0));
    this.counts = drawn.groups.map(add(counts));
    const filled = this.counts.map((slots) => slots.some(Boolean));
    this.steps = new Steps(drawn.times, step, filled, meta);
    this.rate = rateOf("us", rate);
    const timed = (slots: number[], k: number) =>
      slots.map((time) => this.rate.of(time, this.steps.length(k)));
    this.weights = weigh === "time" ? drawn.groups.map(add(weights)).map(timed) : this.counts;
    this.most = this.weights.reduce((all, row) => row.reduce((a, b) => Math.max(a, b), all), 0);
  }

  text(weight: number): string {
    const { rate, weigh } = this;
    if (weigh === "events") return `${exact(weight)} events`;
    return `${rate.text(weight)} ${rate.short || rate.words}`;
  }
}

export function cells(answer: Heatmap, weigh: Weigh = "time"): Drawing {
  const all = new Cells(answer, answer.weights.length ? weigh : "events");
  const { steps, counts, weights, most } = all;
  const { lower, upper, unit, value_column } = answer;
  return {
    timed: true,
    axis: (area) => slotTexts(area, lower, upper, unit),
    paint: (canvas, area, times) => paintCells(canvas, area, all, xOfTime(area, times)),
    at(x, y, area, times) {
      if (!lower.length || y > area.height) return null;
      const [k, row] = [steps.at(timeAt(x, area, times)), slotAt(y, area, lower.length)];
      const size = sizeText(lower[row], lower[row + 1] ?? upper, unit);
      const events = { value: `${exact(counts[k]?.[row] ?? 0)} events` };
      const time = { value: all.text(weights[k]?.[row] ?? 0) };
      const lines =
        all.weigh === "time" ? [{ value: size }, time, events] : [{ value: size }, events];
      return { title: steps.text(k, times.zone), lines };
    },
    around: (one, other) => steps.around(one, other),
    slots: { column: value_column, lower, upper },
    legend: () => (most ? [ramp(RAMP, "0", `${all.text(most)} per cell`)] : []),
  };
}

/** Weights differ by powers of ten, so colour follows their logarithm. */
function paintCells(canvas: Canvas, area: Area, all: Cells, xOf: Place): void {
  const { weights, most, steps, weigh } = all;
  canvas.fillStyle = cssColor("--sunken");
  canvas.fillRect(area.left, 0, area.width, area.height);
  const colors = HEATS.map(cssColor);
  const row = area.height / all.answer.lower.length;
  const contrast = weigh === "time" ? CONTRAST.time : Math.min(CONTRAST.events, most);
  const scale = colors.length / Math.log1p(contrast);
  weights.forEach((slots, k) => {
    const [from, to] = steps.span(k);
    const x = xOf(from);
    const width = xOf(to) - x;
    const wide = width > 6 ? width - 0.8 : width + 0.3;
    slots.forEach((weight, r) => {
      if (!weight) return;
      const heat = Math.floor(Math.log1p((contrast * weight) / most) * scale);
      canvas.fillStyle = colors[Math.min(colors.length - 1, heat)];
      canvas.fillRect(x, area.height - (r + 1) * row, wide, row > 5 ? row - 0.6 : row + 0.2);
    });
  });
}

const LINE = 11;

/** Each row's lower edge, the powers of ten first; the others where there is room. */
function slotTexts(area: Area, lower: number[], upper: number, unit: string): AxisText[] {
  if (!lower.length) return [];
  const row = area.height / lower.length;
  const all = [...lower, upper].map((value, r) => ({
    text: trimmed(axisText(value, unit)),
    y: Math.max(6, Math.min(area.height - 5, area.height - r * row)),
  }));
  const round = (text: string) => /^10*(\D|$)/.test(text);
  const found: AxisText[] = [];
  for (const pass of [true, false]) {
    for (const one of all) {
      if (round(one.text) !== pass) continue;
      if (found.every(({ y }) => Math.abs(y - one.y) >= LINE)) found.push(one);
    }
  }
  return found;
}
