// A small line over time from 0, with the band of the usual; unusual stretches are filled.

import { h } from "../ui/dom";
import { stretched, svg } from "../ui/svg";

export interface Spark {
  /** The start of each step; steps have one length. */
  times: number[];
  step: number;
  values: (number | null)[];
  low: number;
  high: number;
  unusual: { from: number; to: number }[];
}

const HEIGHT = 100;

type Point = [x: number, y: number];

export function spark(range: { from: number; to: number }, line: Spark): HTMLElement {
  const { times, step, values, low, high } = line;
  const most = Math.max(high, ...values.map((value) => value ?? 0)) * 1.06 || 1;
  const x = (time: number) => (100 * (time - range.from)) / (range.to - range.from);
  const y = (value: number) => HEIGHT * (1 - Math.max(0, value) / most);
  const points = times.map((time, k): Point | null => {
    const value = values[k];
    return value === null || value === undefined ? null : [x(time + step / 2), y(value)];
  });
  const marked = times.map((time) =>
    line.unusual.some(({ from, to }) => time + step / 2 >= from && time + step / 2 < to),
  );
  const loud = runs(points.map((point, k) => (marked[k] ? point : null)));
  const end = points.findLastIndex((point) => point !== null);
  const last = points[end];
  const picture = stretched(
    100,
    HEIGHT,
    high > 0 && svg("rect", { class: "band", y: y(high), width: 100, height: y(low) - y(high) }),
    ...loud.map((run) => svg("path", { class: "filled", d: area(run) })),
    svg("path", { class: "line", d: runs(points).map(path).join("") }),
    ...loud.map((run) => svg("path", { class: "loud", d: path(run) })),
  );
  return h("div.spark", picture, last && dot(last, !!marked[end]));
}

/** A circle would be stretched with the picture. */
function dot([x, y]: Point, loud: boolean): HTMLElement {
  const element = h(loud ? "i.end.loud" : "i.end");
  element.style.left = `${Math.min(100, x)}%`;
  element.style.top = `${(100 * y) / HEIGHT}%`;
  return element;
}

/** The pieces of the line: a gap in the data is a gap in it. */
function runs(points: (Point | null)[]): Point[][] {
  const found: Point[][] = [];
  let open: Point[] | null = null;
  for (const point of points) {
    if (!point) open = null;
    else if (open) open.push(point);
    else found.push((open = [point]));
  }
  return found;
}

/** A single point is as wide as a step would be seen. */
function path(run: Point[]): string {
  const [[x, y] = [0, 0]] = run;
  if (run.length < 2) return `M${round(x - 0.4)} ${round(y)}h0.8`;
  return `M${run.map(([x, y]) => `${round(x)} ${round(y)}`).join("L")}`;
}

function area(run: Point[]): string {
  const [first, last] = [run[0]?.[0] ?? 0, run.at(-1)?.[0] ?? 0];
  const wide = run.length < 2 ? 0.4 : 0;
  const top = run.map(([x, y]) => `L${round(x)} ${round(y)}`).join("");
  return `M${round(first - wide)} ${HEIGHT}${top}L${round(last + wide)} ${HEIGHT}Z`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
