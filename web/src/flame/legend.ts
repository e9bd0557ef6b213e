// The legend of a flame graph.

import { diffPalette, kindColor, valuePalette } from "./colors";
import type { DiffColors } from "../state/address";
import { isRest, KIND_TEXT, type Kind } from "./frames";
import { MATCH } from "./paint";
import type { Tree } from "./tree";
import { h } from "../ui/dom";
import { ramp, swatch } from "../ui/swatch";

/** The legend of a differential flame graph: less, unchanged, more. */
export function diffLegend(colors: DiffColors, searched: boolean): HTMLElement[] {
  const palette = diffPalette(colors);
  const steps = [swatch(palette[0], "less"), swatch(palette[10], "unchanged")];
  return [...steps, swatch(palette[20], "more"), ...matching(searched)];
}

export function legend(by: string, searched: boolean, tree: Tree): HTMLElement[] {
  return [...colored(by, tree), ...matching(searched)];
}

function colored(by: string, { names }: Tree): HTMLElement[] {
  if (by === "value") return [ramp(valuePalette(), "self: none", "the most")];
  if (by === "name") return [h("span", "a shade for each name, without a meaning")];
  const kinds: Kind[] = ["user", "library", "kernel", "unknown"];
  if (names.some(isRest)) kinds.push("rest");
  return kinds.map((kind) => swatch(kindColor(kind), KIND_TEXT[kind]));
}

function matching(searched: boolean): HTMLElement[] {
  return searched ? [swatch(MATCH, "matches the search")] : [];
}
