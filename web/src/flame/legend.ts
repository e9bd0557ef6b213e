// The legend of a flame graph.

import { diffPalette, kindColor, valuePalette } from "./colors";
import type { DiffColors } from "../state/address";
import { isRest, KIND_TEXT, type Kind } from "./frames";
import { MATCH } from "./paint";
import type { Tree } from "./tree";
import { h } from "../ui/dom";
import { ramp, swatch } from "../ui/swatch";

export function legend(by: string, searched: boolean, tree: Tree): HTMLElement[] {
  const match = searched ? [swatch(MATCH, "matches the search")] : [];
  return [...colored(by, tree), ...match];
}

function colored(by: string, { names, sides }: Tree): HTMLElement[] {
  // Before and after stand beside the sum of both.
  if (sides.length > 2) {
    const palette = diffPalette(by as DiffColors);
    const steps = [swatch(palette[0], "less"), swatch(palette[10], "unchanged")];
    return [...steps, swatch(palette[20], "more")];
  }
  if (by === "value") return [ramp(valuePalette(), "self: none", "the most")];
  if (by === "name") return [h("span", "a shade for each name, without a meaning")];
  const kinds: Kind[] = ["user", "library", "kernel", "unknown"];
  if (names.some(isRest)) kinds.push("rest");
  return kinds.map((kind) => swatch(kindColor(kind), KIND_TEXT[kind]));
}
