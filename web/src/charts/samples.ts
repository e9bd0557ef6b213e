// Made-up answers that show the shape of a chart before there are any rows.

import type { ChartConfig } from "../../generated/types";
import type { Times } from "./drawing";

const STEPS = 60;
const SLOTS = Array.from({ length: 14 }, (_, r) => r);
const NAMES = ["one", "two", "three"];

function wave(k: number, phase: number): number {
  return 100 + 60 * Math.sin(k / 7 + phase) + ((k * 37) % 23);
}

function bell(k: number): number[] {
  const middle = 7 + 2 * Math.sin(k / 9);
  return SLOTS.map((r) => Math.round(90 * Math.exp(-((r - middle) ** 2) / 5)));
}

/** The answer to the question of a chart, whatever its mark is. */
export function sample({ mark, unit, query }: ChartConfig, { from, to }: Times): unknown {
  const step = (to - from) / STEPS;
  const times = Array.from({ length: STEPS }, (_, k) => from + k * step);
  const values = (phase: number) => times.map((_, k) => wave(k, phase));
  return {
    meta: { from, to },
    by: query["by"] ?? "",
    unit,
    rate: "",
    weights: [],
    value_column: query["value"] ?? "",
    aggregate: mark === "line" ? "avg" : "sum",
    step,
    times,
    series: NAMES.map((name, k) => ({ name, values: values(k) })),
    lower: SLOTS.map((r) => 2 ** r),
    upper: 2 ** SLOTS.length,
    counts: mark === "bars" ? bell(0) : times.map((_, k) => bell(k)),
    entries: NAMES.map((name, k) => ({ key: [name], value: 90 / (k + 1) })),
  };
}
