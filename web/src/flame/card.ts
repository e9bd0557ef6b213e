// The card at the pointer: a frame's name, its amounts, its kind.

import { h, type Child } from "../ui/dom";
import type { Card, Fact } from "./describe";

const KEYS = ["click zoom", "right-click hide, only, rows"];

export function cardBody({ title, notes, facts }: Card): Child[] {
  return [
    h("strong", title),
    ...notes.map((note) => h("p", note)),
    h("dl", ...facts.flatMap(pair)),
    h("div.keys", ...KEYS.map((key) => h("span", key))),
  ];
}

function pair({ term, text, loud }: Fact): Child[] {
  const said = loud ? h("span", { class: loud.tone || "same" }, loud.text) : null;
  return [h("dt", term), h("dd", text, text && said ? " " : null, said)];
}
