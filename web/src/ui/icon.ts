// Small pictures for controls that recede; each control has a name beside it or in its label.

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  flame: "M2 3.5h12M2 6.5h9M2 9.5h6M2 12.5h3",
  sandwich: "M3 3h10L8 8 3 3zm0 10h10L8 8l-5 5z",
  compare: "M8 2.5v11M3 5.5h2.5v7H3zM10.5 3.5H13v9h-2.5z",
  hosts: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01",
  rows: "M2.5 4h11M2.5 8h11M2.5 12h11",
  direction: "M5 3v10m0 0-2.5-2.5M5 13l2.5-2.5M11 13V3m0 0L8.5 5.5M11 3l2.5 2.5",
  group: "M2.5 3h11v3h-11zM2.5 9H7v4H2.5zM9.5 9h4v4h-4z",
  color: "M8 2.5a5.5 5.5 0 0 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
  save: "M8 2.5V10m0 0L5 7m3 3 3-3M3 13.5h10",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  flag: "M4 14V2.5l8 3-8 3",
  back: "M10 3.5 5.5 8l4.5 4.5",
  next: "M6 3.5 10.5 8 6 12.5",
  table: "M2.5 3h11v10h-11zM2.5 6.5h11M6.5 3v10",
  swap: "M3 5.5h10L10.5 3M13 10.5H3L5.5 13",
  search: "M2.8 7a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0-8.4 0M10.2 10.2l3.3 3.3",
} as const;

export type Icon = keyof typeof PATHS;

export function icon(name: Icon): SVGElement {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("viewBox", "0 0 16 16");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  made.append(path);
  return made;
}
