// The differential flame graph: what is shown now beside another range, other filters, another host.

import type { Query } from "./api";
import { FilterChips } from "./chips";
import type { Context } from "./context";
import { button, h, replace, select } from "./dom";
import { filterKey } from "./filters";
import { makeTree, total, type Tree } from "./flame/tree";
import { compared } from "./flame/transform";
import { FlameView } from "./flameview";
import { dateTime, quantity, zoneName } from "./format";
import { Loader } from "./loader";
import type { Notices } from "./notices";
import type { Part } from "./part";
import { iso, moment } from "./ranges";
import type { SearchBox } from "./search";
import { flameQuery, groupLevels, namesOfGroups } from "./source";
import type { FlameAnswer } from "./types";

const SHIFTS: [string, string][] = [
  ["", "the range before"],
  ["same", "the same range"],
  ["-1d", "a day earlier"],
  ["-7d", "a week earlier"],
];

/** What the drawn tree was made of: while none of it changes, only zoom and search do. */
interface Shown {
  before: FlameAnswer;
  after: FlameAnswer;
  relative: boolean;
  swap: boolean;
}
const KEYS = ["before", "after", "relative", "swap"] as const;

/** The baseline's moments, in microseconds. */
export function baselineRange(context: Context): { from: number; to: number } {
  const { baseline, box } = context.store.state;
  const { from, to } = box ?? context.range;
  const back: Record<string, number> = {
    "": to - from,
    same: 0,
    "-1d": 86_400e6,
    "-7d": 7 * 86_400e6,
  };
  const shift = back[baseline.from];
  if (shift !== undefined) return { from: from - shift, to: to - shift };
  return { from: moment(baseline.from) ?? from, to: moment(baseline.to) ?? to };
}

export class CompareView implements Part {
  readonly element: HTMLElement;
  private readonly head = h("div", { class: "sides" });
  private readonly chips: FilterChips;
  private readonly flame: FlameView;
  private readonly before = new Loader("Summing the baseline");
  private readonly after = new Loader("Summing stacks");
  private answers: { before: FlameAnswer | null; after: FlameAnswer | null } = {
    before: null,
    after: null,
  };
  private shown: Shown | null = null;

  constructor(
    private readonly context: Context,
    search: SearchBox,
    private readonly notices: Notices,
  ) {
    const { store } = context;
    this.chips = new FilterChips(context, "Filters of the baseline", {
      filters: () => store.state.baseline.filters ?? store.state.filters,
      change: (filters) => store.set({ baseline: { ...store.state.baseline, filters } }),
    });
    this.flame = new FlameView("Differential flame graph", context, search, () => []);
    this.flame.cover(this.before.element, this.after.element);
    this.element = h("div", { class: "flameview compare" }, this.head, this.flame.element);
  }

  update(): void {
    const { table } = this.context.store.state;
    const path = `/api/v1/flamegraph/${table}`;
    void this.before.ask<FlameAnswer>(path, this.baselineQuery(), (answer) => {
      this.answers.before = answer;
      this.show();
    });
    void this.after.ask<FlameAnswer>(path, flameQuery(this.context), (answer) => {
      this.answers.after = answer;
      this.show();
    });
    this.show();
  }

  private baselineQuery(): Query {
    const { baseline } = this.context.store.state;
    const range = baselineRange(this.context);
    const shown = flameQuery(this.context);
    if (!baseline.filters) {
      return shown.map(([key, value]) =>
        key === "from" || key === "to" ? [key, iso(range[key])] : [key, value],
      );
    }
    const filters = new Set(this.context.store.state.filters.map(filterKey));
    const rest = shown.filter(([key]) => key !== "from" && key !== "to" && !filters.has(key));
    return [
      ["from", iso(range.from)],
      ["to", iso(range.to)],
      ...baseline.filters.map((filter): [string, string] => [filterKey(filter), filter.value]),
      ...rest,
    ];
  }

  private show(): void {
    this.drawHead();
    const { before, after } = this.answers;
    if (!before || !after) return;
    const { relative, swap } = this.context.store.state;
    const wanted: Shown = { before, after, relative, swap };
    const known = this.shown && KEYS.every((key) => this.shown![key] === wanted[key]);
    this.shown = wanted;
    if (known) this.flame.update();
    else this.setSides(before, after);
  }

  private setSides(before: FlameAnswer, after: FlameAnswer): void {
    const { relative, swap } = this.context.store.state;
    const [oldTree, nowTree] = (swap ? [after, before] : [before, after]).map(treeOf) as [
      Tree,
      Tree,
    ];
    const share = (tree: Tree) => (total(tree) ? 1 / total(tree) : 0);
    const scale: [number, number] = relative ? [share(oldTree), share(nowTree)] : [1, 1];
    const tree = compared(oldTree, nowTree, scale);
    const groups = groupLevels(this.context);
    const groupNames = namesOfGroups(tree, groups);
    this.flame.setSource({ tree, unit: after.unit, groups, groupNames, scale });
    const told = [...before.notices, ...after.notices, ...emptySides(before, after)];
    this.notices.say("compare", told);
  }

  private drawHead(): void {
    const { store } = this.context;
    const { baseline, relative, swap, zone, box } = store.state;
    const range = baselineRange(this.context);
    const shown = box ?? this.context.range;
    const words = (side: { from: number; to: number }) =>
      `${dateTime(side.from, zone)} – ${dateTime(side.to, zone).slice(11)} ${zoneName(zone)}`;
    const own = SHIFTS.some(([key]) => key === baseline.from);
    const options: [string, string][] = own
      ? SHIFTS
      : [...SHIFTS, [baseline.from, "a range of its own"]];
    const move = (from: string) =>
      store.set({ baseline: { ...baseline, from, to: "", filters: baseline.filters } });
    const { before, after } = this.answers;
    const amount = (answer: FlameAnswer | null) =>
      answer ? quantity(answer.total, answer.unit) : "";
    this.chips.update();
    replace(
      this.head,
      h(
        "div",
        { class: "side baseline" },
        h("strong", {}, swap ? "After" : "Before"),
        select("Baseline", options, baseline.from, move),
        h("span", { class: "number" }, words(range)),
        this.chips.element,
        h("span", { class: "number" }, amount(before)),
      ),
      h(
        "div",
        { class: "side" },
        h("strong", {}, swap ? "Before" : "After"),
        h("span", { class: "number" }, `as shown, ${words(shown)} `),
        h("span", { class: "number" }, amount(after)),
        button("⇄ swap", () => store.set({ swap: !swap }), { "aria-pressed": String(swap) }),
        button("relative", () => store.set({ relative: !relative }), {
          "aria-pressed": String(relative),
          title: "Compare shares of the whole rather than amounts",
        }),
        h("span", { class: "hint" }, "drag on the timeline with Shift to choose the baseline"),
      ),
    );
  }

  repaint(): void {
    this.flame.repaint();
  }

  next(direction: 1 | -1): void {
    this.flame.next(direction);
  }
}

function treeOf(answer: FlameAnswer): Tree {
  return makeTree(answer.names, answer.name, answer.level, [answer]);
}

function emptySides(before: FlameAnswer, after: FlameAnswer) {
  const sides: [string, FlameAnswer][] = [
    ["The baseline", before],
    ["The shown side", after],
  ];
  return sides
    .filter(([, answer]) => !answer.total)
    .map(([name]) => ({
      level: "warning" as const,
      text: `${name} holds no rows: choose another range or other filters.`,
    }));
}
