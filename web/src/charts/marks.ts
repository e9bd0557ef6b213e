// Vega-Lite, loaded when the first such chart is shown. Expressions are interpreted, not compiled:
// the policy of the page forbids eval.

import embed, { type VisualizationSpec } from "vega-embed";
import { cssColor, h } from "../ui/dom";
import { dateTime, exact, quantity, zoneName, type Zone } from "../ui/format";
import { plain, short } from "../ui/text";
import type { HeatmapAnswer, TimeseriesAnswer } from "../api/types";
import type { Mark } from "../api/types.generated";

export type Spec = Record<string, unknown> & {
  encoding: Record<string, Record<string, unknown>>;
};

interface Config {
  mark: Mark;
  unit: string;
  spec: Spec | null;
}

interface Sizes {
  lower: number[];
  /** Ends the last slot. */
  upper: number;
  counts: number[];
}

type Row = Record<string, unknown>;

/** An answer as the rows that the generated spec speaks of; times in milliseconds, as Vega's are. */
export function specRows(mark: Mark, answer: unknown): Row[] {
  if (mark === "area" || mark === "line") {
    const { times, series } = answer as TimeseriesAnswer;
    // A mean of nothing is unknown: the line goes on to where it is known again.
    return series.flatMap((one) =>
      times
        .map((time, k) => ({ time: time / 1000, name: one.name, value: one.values[k] }))
        .filter((row) => row.value !== null),
    );
  }
  if (mark === "cells") {
    const { times, lower, upper, counts, step } = answer as HeatmapAnswer;
    return times.flatMap((time, k) =>
      lower.map((low, r) => ({
        time: time / 1000,
        time_end: (time + step) / 1000,
        lower: low,
        upper: lower[r + 1] ?? upper,
        count: counts[k]![r] || null,
      })),
    );
  }
  if (mark === "bars") {
    const { lower, upper, counts } = answer as Sizes;
    return lower.map((low, r) => ({ lower: low, upper: lower[r + 1] ?? upper, count: counts[r] }));
  }
  const { entries } = answer as { entries: { key: string[]; value: number }[] };
  return entries.map((entry) => ({ name: entry.key.join(", "), value: entry.value }));
}

/** Times in the chosen zone, and its name; Vega's own choice is the browser's. */
function onTime(spec: Spec, zone: Zone): Spec {
  const { x } = spec.encoding;
  if (x?.["type"] !== "temporal") return spec;
  const scale = zone === "utc" ? { scale: { type: "utc" } } : {};
  const axis = { ...(x["axis"] as Row | undefined), title: zoneName(zone) };
  return { ...spec, encoding: { ...spec.encoding, x: { ...x, ...scale, axis } } };
}

function look(): Record<string, unknown> {
  const [text, muted, line] = ["--text", "--muted", "--line"].map(cssColor);
  const font = 'ui-monospace, "DejaVu Sans Mono", monospace';
  return {
    background: null,
    font,
    view: { stroke: null },
    axis: {
      domainColor: line,
      gridColor: line,
      tickColor: line,
      labelColor: muted,
      titleColor: muted,
      labelFontSize: 10.5,
      titleFontSize: 10.5,
      titleFontWeight: "normal",
      titleLimit: 200,
    },
    legend: {
      labelColor: muted,
      titleColor: muted,
      labelFontSize: 10.5,
      labelLimit: 110,
      titleFontSize: 10.5,
      titleFontWeight: "normal",
      orient: "bottom",
      columns: 3,
    },
    range: {
      category: Array.from({ length: 8 }, (_, k) => cssColor(`--series-${k + 1}`)),
      heatmap: Array.from({ length: 8 }, (_, k) => cssColor(`--heat-${k + 1}`)),
      ramp: Array.from({ length: 8 }, (_, k) => cssColor(`--heat-${k + 1}`)),
    },
    bar: { color: cssColor("--series-1") },
    area: { color: cssColor("--series-1") },
    text: { color: text },
  };
}

/** A datum in words: its numbers each in their own unit. */
function datumLines(mark: Mark, unit: string, zone: Zone, row: Row): string[] {
  const number = (key: string, of: string) => quantity(Number(row[key]), of);
  const time = (key: string) => dateTime(Number(row[key]) * 1000, zone);
  const name = typeof row["name"] === "string" && row["name"] ? [short(plain(row["name"]))] : [];
  const sizes = () => `${number("lower", unit)} to ${number("upper", unit)}`;
  const events = () => `${exact(Number(row["count"]))} events`;
  switch (mark) {
    case "area":
    case "line":
      return [`${time("time")} ${zoneName(zone)}`, ...name, number("value", unit)];
    case "cells":
      return [
        `${time("time")} – ${time("time_end").slice(11)} ${zoneName(zone)}`,
        sizes(),
        events(),
      ];
    case "bars":
      return [sizes(), events()];
    default:
      return [...name, number("value", unit)];
  }
}

/** One for all charts: they are drawn again with each answer. */
const tip = h("div", { class: "tip", hidden: true });

/** Says what is under the pointer. */
function tooltip(mark: Mark, unit: string, zone: Zone) {
  tip.hidden = true;
  return (_: unknown, event: MouseEvent, __: unknown, value: unknown): void => {
    if (!tip.isConnected) document.body.append(tip);
    tip.hidden = typeof value !== "object" || value === null;
    if (tip.hidden) return;
    const lines = datumLines(mark, unit, zone, value as Row);
    tip.replaceChildren(...lines.map((line) => h("div", {}, line)));
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 4);
    tip.style.transform = `translate(${Math.max(4, left)}px, ${event.clientY + 16}px)`;
  };
}

export async function drawSpec(
  place: HTMLElement,
  config: Config,
  answer: unknown,
  zone: Zone,
): Promise<void> {
  if (!config.spec) return;
  const values = specRows(config.mark, answer);
  place.dataset["drawn"] = getComputedStyle(document.documentElement).colorScheme;
  const empty = (answer as { meta?: { rows: number } }).meta?.rows === 0;
  place.classList.toggle("nothing", empty);
  if (empty) {
    place.replaceChildren(h("p", { class: "hint" }, "Nothing in this range."));
    return;
  }
  const spec = {
    ...onTime(config.spec, zone),
    mark: { ...(config.spec["mark"] as Row), tooltip: { content: "data" } },
    data: { name: "rows", values },
    height: 220,
    autosize: { type: "fit", contains: "padding" },
  };
  await embed(place, spec as unknown as VisualizationSpec, {
    actions: false,
    ast: true,
    config: look(),
    defaultStyle: false,
    mode: "vega-lite",
    renderer: "canvas",
    tooltip: tooltip(config.mark, config.unit, zone),
  });
}

/** Values that show what a chart of a kind looks like, before there are any. */
export function sample(mark: Mark, range: { from: number; to: number }): unknown {
  const steps = 60;
  const step = (range.to - range.from) / steps;
  const times = Array.from({ length: steps }, (_, k) => range.from + k * step);
  const wave = (k: number, phase: number) => 100 + 60 * Math.sin(k / 7 + phase) + ((k * 37) % 23);
  const lower = Array.from({ length: 14 }, (_, r) => 2 ** r);
  const upper = 2 ** 14;
  const bell = (r: number, k: number) =>
    Math.round(90 * Math.exp(-((r - 7 - 2 * Math.sin(k / 9)) ** 2) / 5));
  if (mark === "area" || mark === "line") {
    const series = ["one", "two", "three"].map((name, s) => ({
      name,
      values: times.map((_, k) => wave(k, s)),
    }));
    return { times, step, series, unit: "" };
  }
  if (mark === "cells") {
    return {
      times,
      step,
      lower,
      upper,
      counts: times.map((_, k) => lower.map((_, r) => bell(r, k))),
    };
  }
  if (mark === "bars") return { lower, upper, counts: lower.map((_, r) => bell(r, 0)) };
  return {
    entries: ["one", "two", "three"].map((name, k) => ({ key: [name], value: 90 / (k + 1) })),
  };
}
