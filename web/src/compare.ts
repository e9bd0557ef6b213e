// The differential flame graph: what is shown now beside another range, other filters, another host.

import type { Query } from "./api";
import { baselineRange, CompareHead, type Answers } from "./comparehead";
import type { Context } from "./context";
import { h } from "./dom";
import { filterKey } from "./filters";
import { groupsApart, total, type Tree } from "./flame/tree";
import { compared } from "./flame/transform";
import { FlameView } from "./flameview";
import { Loader } from "./loader";
import type { Notices } from "./notices";
import type { Part } from "./part";
import { iso } from "./ranges";
import type { SearchBox } from "./search";
import { flameQuery, flameTree, groupLevels, namesOfGroups, subject } from "./source";
import type { FlameAnswer } from "./types";

/** What the drawn tree was made of: while none of it changes, only zoom and search do. */
interface Shown {
  before: FlameAnswer;
  after: FlameAnswer;
  relative: boolean;
  swap: boolean;
}
const KEYS = ["before", "after", "relative", "swap"] as const;

export class CompareView implements Part {
  readonly element: HTMLElement;
  private readonly head: CompareHead;
  private readonly flame: FlameView;
  private readonly before = new Loader("Summing the baseline");
  private readonly after = new Loader("Summing stacks");
  /** Of which question; a side that is not answered is null. */
  private answers: Answers = { of: "", before: null, after: null };
  private shown: Shown | null = null;

  constructor(
    private readonly context: Context,
    search: SearchBox,
    private readonly notices: Notices,
  ) {
    this.head = new CompareHead(context);
    this.flame = new FlameView("Differential flame graph", context, search, () => []);
    this.flame.cover(this.before.element, this.after.element);
    this.before.over(...this.flame.content);
    this.after.over(...this.flame.content);
    this.element = h("div", { class: "flameview compare" }, this.head.element, this.flame.element);
  }

  update(): void {
    const of = subject(this.context);
    const { table } = this.context.store.state;
    const path = `/api/v1/flamegraph/${table}`;
    if (of !== this.answers.of) this.answers = { of, before: null, after: null };
    const { answers } = this;
    void this.before.ask<FlameAnswer>(path, this.baselineQuery(), (answer) => {
      answers.before = answer;
      this.show();
    });
    void this.after.ask<FlameAnswer>(path, flameQuery(this.context), (answer) => {
      answers.after = answer;
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
    if (!this.element.isConnected) return;
    this.head.update(this.answers);
    const { before, after } = this.answers;
    // Two sides that answer different questions are no comparison.
    if (!before || !after || !this.before.settled || !this.after.settled) return;
    const { relative, swap } = this.context.store.state;
    const wanted: Shown = { before, after, relative, swap };
    const known = this.shown && KEYS.every((key) => this.shown![key] === wanted[key]);
    this.shown = wanted;
    if (known) this.flame.update();
    else this.setSides(before, after);
  }

  private setSides(before: FlameAnswer, after: FlameAnswer): void {
    const { relative, swap, table } = this.context.store.state;
    const [old, now] = swap ? [after, before] : [before, after];
    const [oldTree, nowTree] = [flameTree(old), flameTree(now)];
    const share = (tree: Tree) => (total(tree) ? 1 / total(tree) : 0);
    const scale: [number, number] = relative ? [share(oldTree), share(nowTree)] : [1, 1];
    const groups = groupLevels(this.context);
    const tree = groupsApart(compared(oldTree, nowTree, scale), groups);
    const groupNames = namesOfGroups(tree, groups);
    const { of } = this.answers;
    this.flame.setSource({ of, tree, unit: after.unit, groups, groupNames, scale });
    const told = [...before.notices, ...after.notices, ...emptySides(before, after)];
    this.notices.say("compare", told, table);
  }

  repaint(): void {
    this.flame.repaint();
  }

  next(direction: 1 | -1): void {
    this.flame.next(direction);
  }
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
