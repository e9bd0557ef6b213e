// Notices about the data that change what a picture means.

import { button, h, replace } from "../ui/dom";
import { percent } from "../ui/format";
import { ENDS, frame } from "../flame/frames";
import { outermost, sum, total, type Tree } from "../flame/tree";
import type { View } from "../state/address";
import type { Problem, Leftover, Notice } from "../../generated/types";

/** Notices of some sources belong only to the views that show their answer. */
const VIEWS: Record<string, View[]> = {
  stacks: ["flame", "sandwich"],
  compare: ["compare"],
  hosts: ["hosts"],
};
/** Said of the page, whatever table is shown. */
const OF_ALL = ["categories", "address"];

export class Notices {
  readonly element = h("div.notices");
  private readonly said = new Map<string, { table: string; notices: Notice[] }>();
  private table = "";
  private view: View = "flame";
  private drawn = "";

  /** Only what was said of this table and belongs to this view is shown. */
  show(table: string, view: View): void {
    if (table === this.table && view === this.view) return;
    Object.assign(this, { table, view });
    this.update();
  }

  /** Each source replaces what it said before; an answer may come when another table is shown. */
  say(source: string, notices: Notice[], table = this.table): void {
    this.said.set(source, { table, notices });
    this.update();
  }

  private update(): void {
    const texts = new Set<string>();
    const all = [...this.said]
      .filter(([source, { table }]) => this.belongs(source, table))
      .flatMap(([, { notices }]) => notices)
      .filter((notice) => !texts.has(notice.text) && texts.add(notice.text));
    all.sort((a, b) => Number(b.level === "warning") - Number(a.level === "warning"));
    const wanted = JSON.stringify(all);
    // A screen reader reads a notice when it appears, so a refresh must not insert it again.
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    this.draw(all);
  }

  private belongs(source: string, table: string): boolean {
    if (OF_ALL.includes(source)) return true;
    return table === this.table && (VIEWS[source]?.includes(this.view) ?? true);
  }

  /** One line has room; the rest is there when it is asked for. */
  private draw(all: Notice[]): void {
    const open = this.element.classList.contains("open") && all.length > 0;
    this.element.classList.toggle("open", open);
    const list = h("div.list", ...all.map(line));
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

export function warning(text: string): Notice {
  return { level: "warning", text };
}

export function problemNotices(problems: Problem[], leftovers: Leftover[]): Notice[] {
  const wrong = problems.map((one) => `${one.file}:${one.line}: ${one.path}: ${one.message}`);
  const left = leftovers.map(({ message }) => message);
  return [...wrong, ...left].map(warning);
}

/** Frames without a name and stacks without their root, seen in the graph itself. Few are normal; many make it unreadable. */
export function unknownNotices(tree: Tree): Notice[] {
  const kinds: [string, (name: string) => boolean][] = [
    [
      "runs through frames without a name ([unknown], or a file and an address): the program has no symbols, or had ended before they were read.",
      (name) => frame(name).kind === "unknown" && !ENDS.has(name),
    ],
    ...[...ENDS].map(([end, text]): [string, (name: string) => boolean] => [
      `is in stacks that end in ${end}: ${text}.`,
      (name) => name === end,
    ]),
  ];
  return kinds.flatMap(([text, is]) => {
    const marked = Uint8Array.from(tree.names, (name) => (is(name) ? 1 : 0));
    const part = sum(tree, outermost(tree, marked));
    if (!part || part < 0.02 * total(tree)) return [];
    return [warning(`${percent(part, total(tree))} ${text}`)];
  });
}
