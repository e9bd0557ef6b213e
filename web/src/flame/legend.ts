// The legend of a flame graph.

import { diffPalette, kindFill, valuePalette } from "./colors";
import type { Fill } from "./fills";
import type { DiffColors } from "../state/address";
import { isRest, KIND_TEXT, type Kind } from "./frames";
import type { Tree } from "./tree";
import { h } from "../ui/dom";
import { ramp, swatch } from "../ui/swatch";

export function legend(by: string, searched: boolean, tree: Tree): HTMLElement[] {
  const match = searched ? [h("span", h("i.swatch.match"), "matches the search")] : [];
  return [...colored(by, tree), ...match];
}

/** A fill as the style sheet's `background`. */
export function background({ token, hatched }: Fill): string {
  const color = `var(${token})`;
  if (!hatched) return color;
  return `repeating-linear-gradient(135deg, ${color} 0 2px, var(--ink-3) 2px 3px)`;
}

function colored(by: string, { names, sides }: Tree): HTMLElement[] {
  // Before and after stand beside the sum of both.
  if (sides.length > 2) {
    return [
      h("span", "colour: ratio, from ×1/9 to ×9"),
      ramp(diffPalette(by as DiffColors).map(background), "less in B", "more in B"),
      h("span", h("b", "+"), " new in B"),
    ];
  }
  if (by === "value") return [ramp(valuePalette().map(background), "self: none", "the most")];
  if (by === "name") return [h("span", "a shade for each name, without a meaning")];
  const kinds: Kind[] = ["kernel", "user", "library", "interpreted", "jit", "unknown"];
  if (names.some(isRest)) kinds.push("rest");
  return kinds.map((kind) => swatch(background(kindFill(kind)), KIND_TEXT[kind]));
}
