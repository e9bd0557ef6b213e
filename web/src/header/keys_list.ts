// The list of all keys.

import { h } from "../ui/dom";
import { popover } from "../ui/popover";

const KEYS: [string, string][] = [
  ["/", "filter or search"],
  ["1 – 6", "views"],
  ["g", "Home"],
  ["w", "what changed here"],
  ["[ ]", "range back, on"],
  ["+ -", "range shorter, longer"],
  ["arrows", "move in the graph"],
  ["Enter", "zoom in"],
  ["Backspace", "zoom out"],
  ["o", "only stacks through the frame"],
  ["h", "hide stacks through the frame"],
  ["s", "callers and callees"],
  ["m", "menu of the frame"],
  ["c", "copy the name"],
  ["n N", "next, previous match"],
  ["x", "swap the sides of a comparison"],
  ["?", "these keys"],
  ["Esc", "closes, then clears"],
];

export function showKeys(): void {
  const lines = KEYS.flatMap(([keys, text]) => [
    h("dt", ...keys.split(" ").map((key) => (/^[–]$/.test(key) ? key : h("kbd", key)))),
    h("dd", text),
  ]);
  const note = "Letters act while the graph, a table or the panel has the focus.";
  const place: [number, number] = [innerWidth / 2 - 190, innerHeight / 6];
  const list = h("dl.keys", { tabindex: 0 }, ...lines);
  popover(place, "dialog", "Keys", h("h2", "Keys"), list, h("p.hint", note));
}
