// Beside the sandwich: the amounts of the frame in the middle, who calls it and what it calls.

import { kindFill } from "../flame/colors";
import type { Source } from "../flame/flame_query";
import { frame as described } from "../flame/frames";
import { background } from "../flame/legend";
import { label } from "../flame/paint";
import { nameOf, total, type Tree } from "../flame/tree";
import { button, h, replace } from "../ui/dom";
import { percent } from "../ui/format";
import { bare, word } from "../ui/rate";
import { square } from "../ui/swatch";
import { short } from "../ui/text";
import type { Before } from "./sandwich_before";

/** More than a person reads. */
const MOST = 5;

interface Middle {
  source: Source;
  callers: Tree;
  callees: Tree;
}

export class SandwichSide {
  readonly element = h("div.middlefacts");

  constructor(
    private readonly choose: (frame: string) => void,
    private readonly back: () => void,
  ) {}

  show(middle: Middle | null, frame: string, before: Before | null): void {
    if (!middle) return void replace(this.element);
    const { callers, callees, source } = middle;
    const graph = button("in the flame graph", this.back);
    replace(
      this.element,
      h("h2.middlehead", h("strong.number", mark(frame), short(label(frame))), graph),
      figures(source, callees, before),
      split(callees),
      this.list("Called from", callers, source),
      this.list("Calls", callees, source),
    );
  }

  private list(title: string, tree: Tree, source: Source): HTMLElement | null {
    const next = children(tree);
    if (!next.length) return null;
    const lines = next.slice(0, MOST).map((node) => this.line(tree, node, source));
    const count = h("span.number.hint", `${next.length} ${next.length > 1 ? "frames" : "frame"}`);
    return h("section.lists", h("h3", title, " ", count), h("ul", ...lines));
  }

  private line(tree: Tree, node: number, source: Source): HTMLElement {
    const name = nameOf(tree, node);
    const text = short(label(name));
    const pick = button("", () => this.choose(name), { class: "name", title: text });
    pick.ariaLabel = text;
    pick.append(mark(name), h("span.text", h("bdi", text)));
    const value = tree.sides[0].value[node];
    const bar = h("i");
    bar.style.width = percentWidth(value, total(tree));
    return h(
      "li",
      pick,
      h("span.sharebar", { title: percent(value, total(tree)) }, bar),
      h("span.number", bare(value, source.measure)),
    );
  }
}

function mark(name: string): HTMLElement {
  return square(background(kindFill(described(name).kind)));
}

/** The nodes right below the root, the largest first. */
function children({ n, end, sides }: Tree): number[] {
  const found: number[] = [];
  for (let i = 1; i < n; i = end[i]) found.push(i);
  return found.sort((a, b) => sides[0].value[b] - sides[0].value[a]);
}

function figures(source: Source, callees: Tree, before: Before | null): HTMLElement {
  const { measure, tree } = source;
  const [all, self] = [total(callees), callees.sides[0].self[0]];
  const unit = measure.rate ? `${word(measure)}, total` : "total";
  const figure = (value: string, text: string, tone = "") =>
    h("div", h("b", { class: tone || "same" }, value), text);
  return h(
    "div.middlefigures",
    figure(bare(all, measure), unit, "ink"),
    self > 0 && figure(bare(self, measure), "self", "ink"),
    figure(percent(all, total(tree)), "of all", "ink"),
    before && figure(before.ratio.text, `against ${before.when}`, before.ratio.tone),
  );
}

/** How much of the frame is its own code. */
function split(callees: Tree): HTMLElement {
  const [all, self] = [total(callees), callees.sides[0].self[0]];
  const bar = h("i");
  bar.style.width = percentWidth(self, all);
  const own = `${percent(self, all)} in its own code, ${percent(all - self, all)} in what it calls`;
  return h("div.middlesplit", h("span.sharebar", bar), h("span.hint", own));
}

function percentWidth(part: number, all: number): string {
  return `${all ? Math.min(100, (100 * part) / all) : 0}%`;
}
