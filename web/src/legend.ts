// What the colours of a flame graph mean.

import { diffPalette, kindColor, type DiffColors } from "./flame/colors";
import { KIND_TEXT, type Kind } from "./flame/frames";
import { h } from "./dom";

function swatch(color: string, text: string): HTMLElement {
  const square = h("i", { class: "swatch" });
  square.style.background = color;
  return h("span", {}, square, text);
}

export function legend(by: string, colors: string): HTMLElement[] {
  if (by === "change") {
    const palette = diffPalette(colors === "red-blue" ? "red-blue" : ("red-green" as DiffColors));
    return [
      swatch(palette[0]!, "less"),
      swatch(palette[10]!, "unchanged"),
      swatch(palette[20]!, "more"),
    ];
  }
  if (by !== "kind") return [];
  const kinds: Kind[] = ["user", "library", "kernel", "unknown"];
  return kinds.map((kind) => swatch(kindColor(kind), KIND_TEXT[kind]));
}
