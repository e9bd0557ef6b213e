// Icons: paths on a square of 16, drawn in the colour of the text beside them.

import { svg } from "./svg";

const PATHS = {
  flag: "M4 14V2.5l8 3-8 3",
  close: "m4.5 4.5 7 7m0-7-7 7",
  zoom: "M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8zm3 7 3.5 3.5M7 5.2v3.6M5.2 7h3.6",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
};

/** Says nothing to a screen reader: its button has a name. */
export function icon(name: keyof typeof PATHS): SVGElement {
  const attributes = { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" };
  return svg("svg", attributes, svg("path", { d: PATHS[name] }));
}
