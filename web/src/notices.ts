// What a reader must know about the data before believing the picture.

import { h, replace } from "./dom";
import { percent } from "./format";
import { frame } from "./flame/frames";
import { outermost, sum, total, type Tree } from "./flame/tree";
import type { CategoryProblem, Notice } from "./types";

export class Notices {
  readonly element = h("div", { class: "notices" });
  private readonly parts = new Map<string, Notice[]>();

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
    replace(
      this.element,
      ...all.map((notice) =>
        h(
          "div",
          {
            class: `notice ${notice.level}`,
            role: notice.level === "warning" ? "alert" : "status",
          },
          h("span", { "aria-hidden": "true" }, notice.level === "warning" ? "⚠ " : "ℹ "),
          notice.text,
        ),
      ),
    );
  }
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
  if (part < 0.02 * total(tree)) return [];
  const share = percent(part, total(tree));
  return [
    {
      level: "warning",
      text: `${share} runs through frames without a name ([unknown]): the program has no symbols, or had ended before they were read.`,
    },
  ];
}
