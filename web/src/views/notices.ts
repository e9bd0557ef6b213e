// How complete the data is, and what else changes the meaning of a picture: quiet, in the foot.

import { button, h, replace } from "../ui/dom";
import { percent } from "../ui/format";
import { icon } from "../ui/icons";
import { ENDS, frame } from "../flame/frames";
import { outermost, sum, total, type Tree } from "../flame/tree";
import type { View } from "../state/address";
import type { Problem, Lack, Leftover, Notice } from "../../generated/types";

/** Notices of some sources belong only to the views that show their answer. */
const VIEWS: Record<string, View[]> = {
  stacks: ["flame", "sandwich"],
  compare: ["compare"],
  hosts: ["hosts"],
};
/** Said of the page, whatever table is shown. */
const OF_ALL = ["categories", "address"];
/** From here on a part of the data is missing that changes what the rest means. */
const LOUD = 0.1;

/** Parts of the whole (0 to 1): what was lost, and what runs through frames without a name. */
interface Gaps {
  lost: Lack | null;
  nameless: number;
}

export class Notices {
  readonly element = h("div.notices");
  private readonly details = h("div.popover.complete", {
    popover: "auto",
    "aria-label": "How complete is this?",
    role: "dialog",
  });
  private readonly said = new Map<string, { table: string; notices: Notice[] }>();
  private readonly lost = new Map<string, Lack | null>();
  private readonly nameless = new Map<string, number>();
  private table = "";
  private view: View = "flame";
  private drawn = "";

  constructor() {
    this.details.addEventListener("toggle", (event) => {
      const open = (event as ToggleEvent).newState === "open";
      this.element.classList.toggle("open", open);
      this.element.firstElementChild?.setAttribute("aria-expanded", String(open));
    });
  }

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

  /** The largest part that agents lost; null if they lost nothing. */
  tellLost(lost: Lack | null, table = this.table): void {
    this.lost.set(table, lost);
    this.update();
  }

  /** The part that runs through frames without a name. */
  tellNameless(part: number, table = this.table): void {
    this.nameless.set(table, part);
    this.update();
  }

  private get gaps(): Gaps | null {
    const stacks = this.view === "flame" || this.view === "sandwich";
    const nameless = stacks ? this.nameless.get(this.table) : undefined;
    const lost = this.lost.get(this.table) ?? null;
    return nameless === undefined && !lost ? null : { lost, nameless: nameless ?? 0 };
  }

  private update(): void {
    const texts = new Set<string>();
    const all = [...this.said]
      .filter(([source, { table }]) => this.belongs(source, table))
      .flatMap(([, { notices }]) => notices)
      .filter((notice) => !texts.has(notice.text) && texts.add(notice.text));
    all.sort((a, b) => Number(b.level === "warning") - Number(a.level === "warning"));
    const { gaps } = this;
    const wanted = JSON.stringify([all, gaps]);
    // A screen reader reads a notice when it appears, so a refresh must not insert it again.
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    this.draw(all, gaps);
  }

  private belongs(source: string, table: string): boolean {
    if (OF_ALL.includes(source)) return true;
    return table === this.table && (VIEWS[source]?.includes(this.view) ?? true);
  }

  /** One line has room for the numbers and for the first notice; a click shows all. */
  private draw(all: Notice[], gaps: Gaps | null): void {
    const numbers = gaps && this.table ? [gauge(gaps), ...figures(gaps)] : [];
    const first = all[0] && h("span.first", all[0].text);
    const more = all.length > 1 ? h("span", `all ${all.length}`) : null;
    const open = () => this.open(summary);
    const summary = button("", open, { "aria-haspopup": "dialog", "aria-expanded": "false" });
    summary.append(...numbers, ...[first, more].filter((one) => one instanceof Node));
    summary.hidden = !numbers.length && !all.length;
    replace(
      this.details,
      h("h2", "How complete is this?"),
      gaps && this.table && gauge(gaps),
      ...(gaps && this.table ? figures(gaps) : []).map((one) => h("p.figure", one)),
      h("ul.list", ...all.map(line)),
      !all.length && h("p.hint", "Nothing is known to be missing."),
    );
    const reader = h("span.unseen", { role: "status" }, ...all.map(({ text }) => `${text} `));
    replace(this.element, summary, reader, this.details);
  }

  private open(summary: HTMLElement): void {
    this.element.append(this.details); // Escape takes popovers away
    this.details.togglePopover({ source: summary });
    const { left, top } = summary.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.details;
    const x = Math.max(4, Math.min(left, innerWidth - width - 4));
    this.details.style.transform = `translate(${x}px, ${Math.max(4, top - height - 8)}px)`;
  }
}

function gauge({ lost, nameless }: Gaps): HTMLElement {
  const gone = lost?.share ?? 0;
  const named = Math.max(0, 1 - nameless - gone);
  const part = (kind: string, share: number) => {
    const one = h(`i.${kind}`);
    one.style.flexGrow = String(share);
    return one;
  };
  const parts = [part("named", named), part("nameless", nameless), part("lost", gone)];
  return h("span.gauge", { "aria-hidden": "true" }, ...parts);
}

function figures({ lost, nameless }: Gaps): HTMLElement[] {
  const one = (share: number, text: string) => {
    const number = h("span.number", percent(share, 1));
    number.classList.toggle("loud", share > LOUD);
    return h("span.part", number, ` ${text}`);
  };
  const named = h("span.part", h("span.number", percent(1 - nameless, 1)), " named");
  return [
    named,
    ...(nameless > 0.0005 ? [one(nameless, "no symbol")] : []),
    ...(lost ? [one(lost.share, `lost on ${lost.host}`)] : []),
  ];
}

function line({ level, text }: Notice): HTMLElement {
  const made = h("li", { class: `notice ${level}` }, h("span", text));
  made.prepend(icon(level === "warning" ? "unusual" : "note"));
  return made;
}

export function warning(text: string): Notice {
  return { level: "warning", text };
}

export function problemNotices(problems: Problem[], leftovers: Leftover[]): Notice[] {
  const wrong = problems.map((one) => `${one.file}:${one.line}: ${one.path}: ${one.message}`);
  const left = leftovers.map(({ message }) => message);
  return [...wrong, ...left].map(warning);
}

const nameless = (name: string) => frame(name).kind === "unknown" && !ENDS.has(name);

/** The part of the whole, 0 to 1, that runs through frames of such names. */
function through(tree: Tree, is: (name: string) => boolean): number {
  const marked = Uint8Array.from(tree.names, (name) => (is(name) ? 1 : 0));
  return total(tree) ? sum(tree, outermost(tree, marked)) / total(tree) : 0;
}

export function namelessPart(tree: Tree): number {
  return through(tree, nameless);
}

/** Frames without a name and stacks without their root, seen in the graph itself. Few are normal; many make it unreadable. */
export function unknownNotices(tree: Tree): Notice[] {
  const kinds: [string, (name: string) => boolean][] = [
    [
      "runs through frames without a name ([unknown], or a file and an address): the program has no symbols, or had ended before they were read.",
      nameless,
    ],
    ...[...ENDS].map(([end, text]): [string, (name: string) => boolean] => [
      `is in stacks that end in ${end}: ${text}.`,
      (name) => name === end,
    ]),
  ];
  return kinds.flatMap(([text, is]) => {
    const part = through(tree, is);
    return part < 0.02 ? [] : [warning(`${percent(part, 1)} ${text}`)];
  });
}
