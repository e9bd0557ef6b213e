// The marks of all charts: what is drawn over time, and sizes and groups, which are not.

import type { Heatmap, Histogram, Top, Mark } from "../../generated/types";
import { cssColor } from "../ui/dom";
import { axisText, exact, quantity, trimmed } from "../ui/format";
import { plain, short } from "../ui/text";
import { cells, sizeText } from "./cells";
import { paintTexts, type Drawing } from "./drawing";
import { Scale } from "./scale";
import { series, seriesColor } from "./series";

/** Sizes across, the number of events upward. */
export function bars({ lower, upper, counts, unit }: Histogram): Drawing {
  const scale = new Scale(0, Math.max(0, ...counts), "events");
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
    at(x, y, area) {
      const k = Math.floor(((x - area.left) / area.width) * lower.length);
      const [low, count] = [lower[k], counts[k]];
      if (low === undefined || count === undefined || y > area.height) return null;
      const title = sizeText(low, lower[k + 1] ?? upper, unit);
      return { title, lines: [{ value: `${exact(count)} events` }] };
    },
    legend: () => [],
  };
}

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
        canvas.fillStyle = cssColor("--ink-3");
        if (row >= 12) canvas.fillText(texts[k] ?? "", end + 6, (k + 0.5) * row);
      });
    },
    at(_, y, { height }) {
      const row = rows[Math.floor((y / height) * rows.length)];
      if (!row) return null;
      return { title: short(row.name) || "(empty)", lines: [{ value: quantity(row.value, unit) }] };
    },
    legend: () => [],
  };
}

/** The marks of charts, except the flame graph, which has its own view; each takes its own answer. */
export const MARKS: Record<Exclude<Mark, "flame">, (answer: never, states: string[]) => Drawing> = {
  area: series,
  line: series,
  cells: (answer: Heatmap) => cells(answer),
  bars,
  ranking,
};
