// The page's icons: lines on a grid of 16, in the colour of the text beside them.

import { svg } from "./svg";

const PATHS = {
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4a4.2 4.2 0 0 0 0-8.4m3.2 7.4 3.3 3.3",
  link: "M6.8 9.2a2.6 2.6 0 0 0 3.7 0l2-2a2.6 2.6 0 0 0-3.7-3.7l-.7.7M9.2 6.8a2.6 2.6 0 0 0-3.7 0l-2 2a2.6 2.6 0 0 0 3.7 3.7l.7-.7",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  close: "m4.5 4.5 7 7m0-7-7 7",
  zoom: "M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zm3 7 3.5 3.5M7 5.2v3.6M5.2 7h3.6",
  home: "M2.5 7.5 8 3l5.5 4.5M4 6.5V13h8V6.5",
  flame: "M2 3.5h12M2 6.5h9M2 9.5h6M2 12.5h3",
  sandwich: "M3 3h10L8 8 3 3zm0 10h10L8 8l-5 5z",
  compare: "M8 2.5v11M3 5.5h2.5v7H3zM10.5 3.5H13v9h-2.5z",
  hosts: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
  charts: "M2.5 2.5v11h11M5 10.5l2.5-3.5 2.5 2 3-4.5",
  rows: "M2.5 4h11M2.5 8h11M2.5 12h11",
  turn: "M5 3v10m0 0-2.5-2.5M5 13l2.5-2.5M11 13V3m0 0L8.5 5.5M11 3l2.5 2.5",
  group: "M2.5 3h11v3h-11zM2.5 9H7v4H2.5zM9.5 9h4v4h-4z",
  colour: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11v11",
  download: "M8 2.5V10m0 0L5 7m3 3 3-3M3 13.5h10",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  flag: "M4 14V2.5l8 3-8 3",
  previous: "M10 3.5 5.5 8l4.5 4.5",
  next: "M6 3.5 10.5 8 6 12.5",
  table: "M2.5 3h11v10h-11zM2.5 6.5h11M6.5 3v10",
  swap: "M3 5.5h10L10.5 3M13 10.5H3L5.5 13",
  play: "M5 3.5v9l7-4.5z",
  change: "M8 2.5v3M8 10.5v3M2.5 8h3M10.5 8h3M8 6.5a1.5 1.5 0 1 0 0 3a1.5 1.5 0 0 0 0-3",
  unusual: "M8 3.5 13 12.5H3z",
  note: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11M8 7.5v3.5M8 5.2h.01",
  check: "m3.5 8.5 3 3 6-7",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
};

export type Icon = keyof typeof PATHS;

/** For the eye alone: the control that it stands on has a name. */
export function icon(name: Icon): SVGElement {
  const attributes = { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" };
  return svg("svg", attributes, svg("path", { d: PATHS[name] }));
}

/** A line through the values, as high as the largest of them; "" of no values. */
export function sparkline(values: number[], width = 72, height = 16): SVGElement {
  const most = Math.max(...values, Number.MIN_VALUE);
  const points = values.map((value, k) => {
    const x = (k * width) / Math.max(1, values.length - 1);
    return `${x.toFixed(1)},${(height - 1 - (Math.max(0, value) / most) * (height - 2)).toFixed(1)}`;
  });
  const attributes = { class: "spark", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" };
  return svg("svg", attributes, svg("polyline", { points: points.join(" ") }));
}
