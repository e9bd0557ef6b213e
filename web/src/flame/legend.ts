// The legend of a flame graph.

import { diffPalette, kindColor, valuePalette } from "./colors";
import type { DiffColors } from "../state/address";
import { KIND_TEXT, type Kind } from "./frames";
import { MATCH } from "./paint";
import { h } from "../ui/dom";
import { ramp, swatch } from "../ui/swatch";

/** The legend of a differential flame graph: less, unchanged, more. */
export function diffLegend(colors: DiffColors, searched: boolean): HTMLElement[] {
  const palette = diffPalette(colors);
  return [
    swatch(palette[0], "less"),
    swatch(palette[10], "unchanged"),
    swatch(palette[20], "more"),
    ...matching(searched),
  ];
}

/** `rest` is true if there are frames that represent many stacks. */
export function legend(by: string, searched: boolean, rest: boolean): HTMLElement[] {
  if (by === "value") {
    return [ramp(valuePalette(), "self: none", "the most"), ...matching(searched)];
  }
  if (by === "name") {
    return [h("span", "a shade for each name, without a meaning"), ...matching(searched)];
  }
  const kinds: Kind[] = [
    "user",
    "library",
    "kernel",
    "unknown",
    ...(rest ? (["rest"] as const) : []),
  ];
  const swatches = kinds.map((kind) => swatch(kindColor(kind), KIND_TEXT[kind]));
  return [...swatches, ...matching(searched)];
}

function matching(searched: boolean): HTMLElement[] {
  return searched ? [swatch(MATCH, "matches the search")] : [];
}
