// The differential flame graph: what is shown now beside another range, other filters, another host.

import type { Query } from "../api/client";
import {
  baselineFilters,
  baselineRange,
  CompareHead,
  sideWords,
  type Answers,
} from "../header/compare_head";
import { bounds, filterQuery, valueBounds, type Context } from "../state/context";
import { h } from "../ui/dom";
import { groupsApart, total, type Tree } from "../flame/tree";
import { compared } from "../flame/transform";
import { FlameView } from "./flame";
import { duration } from "../ui/format";
import { Loader } from "../api/loader";
import type { Notices } from "./notices";
import type { Part } from "../ui/part";
import { iso } from "../state/ranges";
import type { SearchBox } from "../flame/search";
import {
  flameQuery,
  flameTree,
  groupLevels,
  namesOfGroups,
  stackQuery,
  subject,
} from "../flame/flame_query";
import type { Flamegraph, Notice } from "../api/types.generated";

/** What the drawn tree was made of: while none of it changes, only zoom and search do. */
interface Shown {
  before: Flamegraph;
  after: Flamegraph;
  relative: boolean;
  swap: boolean;
  /** What the sides are called. */
  names: string;
}
const KEYS = ["before", "after", "relative", "swap", "names"] as const;

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
    this.element = h("div.flameview.compare", this.head.element, this.flame.element);
  }

  update(): void {
    const of = subject(this.context);
    const { table } = this.context.store.state;
    const path = `/api/v1/flamegraph/${table}`;
    if (of !== this.answers.of) this.answers = { of, before: null, after: null };
    const { answers } = this;
    void this.before.ask<Flamegraph>(path, this.baselineQuery(), (answer) => {
      answers.before = answer;
      this.show();
    });
    void this.after.ask<Flamegraph>(path, flameQuery(this.context), (answer) => {
      answers.after = answer;
      this.show();
    });
    this.show();
  }

  /** Its own times and filters; the sizes of a box bound both sides. */
  private baselineQuery(): Query {
    const { from, to } = baselineRange(this.context);
    return [
      ["from", iso(from)],
      ["to", iso(to)],
      ...filterQuery(baselineFilters(this.context)),
      ...valueBounds(this.context),
      ...stackQuery(this.context),
    ];
  }

  private show(): void {
    if (!this.element.isConnected) return;
    this.head.update(this.answers);
    const { before, after } = this.answers;
    // Two sides that answer different questions are no comparison.
    if (!before || !after || !this.before.settled || !this.after.settled) return;
    const { relative, swap } = this.context.store.state;
    const names = JSON.stringify(this.sideNames(swap));
    const wanted: Shown = { before, after, relative, swap, names };
    const { shown } = this;
    const known = shown && KEYS.every((key) => shown[key] === wanted[key]);
    this.shown = wanted;
    if (known) this.flame.update();
    else this.setSides(before, after);
  }

  private setSides(before: Flamegraph, after: Flamegraph): void {
    const { relative, swap, table } = this.context.store.state;
    const [old, now] = swap ? [after, before] : [before, after];
    const [oldTree, nowTree] = [flameTree(old), flameTree(now)];
    const share = (tree: Tree) => (total(tree) ? 1 / total(tree) : 0);
    const scale: [number, number] = relative ? [share(oldTree), share(nowTree)] : [1, 1];
    const groups = groupLevels(this.context);
    const tree = groupsApart(compared(oldTree, nowTree, scale), groups);
    const groupNames = namesOfGroups(tree, groups);
    const { of } = this.answers;
    const sideNames = this.sideNames(swap);
    const { unit } = after;
    this.flame.setSource({ of, tree, unit, groups, groupNames, scale, sideNames });
    const told = [...before.notices, ...after.notices, ...emptySides(before, after)];
    if (!relative) told.push(...this.unevenSides());
    this.notices.say("compare", told, table);
  }

  private sideNames(swap: boolean): [string, string] {
    const { context } = this;
    const baseline = sideWords(context, baselineRange(context), baselineFilters(context));
    const shown = sideWords(context, bounds(context, "box"), context.store.state.filters);
    return swap ? [shown, baseline] : [baseline, shown];
  }

  /** Amounts of an hour and of five minutes are no comparison. */
  private unevenSides(): Notice[] {
    const lengths = [baselineRange(this.context), bounds(this.context, "box")].map(
      ({ from, to }) => to - from,
    );
    const [before = 0, after = 0] = lengths;
    if (Math.abs(before - after) <= 0.01 * Math.max(before, after)) return [];
    const words = `${duration(before)} and ${duration(after)}`;
    const text = `The sides are of different lengths (${words}): compare shares, with "relative".`;
    return [{ level: "info", text }];
  }

  repaint(): void {
    this.flame.repaint();
  }

  next(direction: 1 | -1): void {
    this.flame.next(direction);
  }
}

function emptySides(before: Flamegraph, after: Flamegraph) {
  const sides: [string, Flamegraph][] = [
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
