// What a reader must know about the data before believing the picture.

import { button, h, replace } from "./dom";
import { percent } from "./format";
import { frame } from "./flame/frames";
import { outermost, sum, total, type Tree } from "./flame/tree";
import type { CategoryProblem, Notice } from "./types";

export class Notices {
  readonly element = h("div", { class: "notices" });
  private readonly parts = new Map<string, Notice[]>();
  private drawn = "";

  /** Forgets what was said of answers that are shown no more. */
  clear(): void {
    const kept = this.parts.get("categories") ?? [];
    this.parts.clear();
    this.say("categories", kept);
  }

  /** Each source replaces what it said before. */
  say(source: string, notices: Notice[]): void {
    this.parts.set(source, notices);
    const seen = new Set<string>();
    const all = [...this.parts.values()].flat().filter((notice) => {
      const first = !seen.has(notice.text);
      seen.add(notice.text);
      return first;
    });
    all.sort((a, b) => Number(b.level === "warning") - Number(a.level === "warning"));
    const wanted = JSON.stringify(all);
    // What is read aloud when it appears must not appear again with every refresh.
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    this.draw(all);
  }

  /** One line has room; the rest is there when it is asked for. */
  private draw(all: Notice[]): void {
    const open = this.element.classList.contains("open") && all.length > 0;
    this.element.classList.toggle("open", open);
    const list = h("div", { class: "list" }, ...all.map(line));
    const text = all.length > 1 ? `all ${all.length}` : "more";
    const more = button(text, () => toggle(), { "aria-expanded": String(open) });
    const toggle = () => {
      const opened = this.element.classList.toggle("open");
      more.setAttribute("aria-expanded", String(opened));
    };
    replace(this.element, list, more);
    const cut = list.firstElementChild;
    more.hidden = all.length < 2 && !open && (!cut || cut.scrollWidth <= cut.clientWidth);
  }
}

function line({ level, text }: Notice): HTMLElement {
  return h(
    "div",
    { class: `notice ${level}`, role: level === "warning" ? "alert" : "status" },
    h("span", { "aria-hidden": "true" }, level === "warning" ? "⚠ " : "ℹ "),
    text,
  );
}

export function problemNotices(problems: CategoryProblem[]): Notice[] {
  return problems.map((one) => ({
    level: "warning",
    text: `${one.file}:${one.line}: ${one.path}: ${one.message}`,
  }));
}

/** Frames without a name, seen in the graph itself. Few are normal; many make it unreadable. */
export function unknownNotices(tree: Tree): Notice[] {
  const unknown = tree.names.map((name) => frame(name).kind === "unknown");
  const nodes = outermost(tree, (node) => node > 0 && unknown[tree.name[node]!]!);
  const part = sum(tree, nodes);
  if (!part || part < 0.02 * total(tree)) return [];
  const share = percent(part, total(tree));
  return [
    {
      level: "warning",
      text: `${share} runs through frames without a name ([unknown]): the program has no symbols, or had ended before they were read.`,
    },
  ];
}
