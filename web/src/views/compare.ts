// The differential flame graph: what is shown now beside another range, other filters, another host.

import type { Query } from "../api/client";
import { Loader } from "../api/loader";
import type { Comparison, Notice } from "../../generated/types";
import { comparedTree, flameQuery, sourceOf, subject } from "../flame/flame_query";
import type { SearchBox } from "../flame/search";
import { baselineFilters, baselineRange, CompareHead, sideWords } from "../header/compare_head";
import {
  bounds,
  column,
  filterQuery,
  heatmapColumn,
  valueBounds,
  type Context,
} from "../state/context";
import { iso } from "../state/ranges";
import { h } from "../ui/dom";
import { duration } from "../ui/format";
import { memo } from "../ui/memo";
import { FlameView } from "./flame";
import { warning, type Notices } from "./notices";

export class CompareView {
  readonly element: HTMLElement;
  private readonly head: CompareHead;
  private readonly flame: FlameView;
  private readonly loader = new Loader("Comparing stacks");
  private of = "";
  private answer: Comparison | null = null;

  constructor(
    private readonly context: Context,
    search: SearchBox,
    private readonly notices: Notices,
  ) {
    this.head = new CompareHead(context);
    this.flame = new FlameView("Differential flame graph", context, search);
    this.flame.over.cover(this.loader.element);
    this.loader.over(...this.flame.content);
    this.element = h("div.flameview.compare", this.head.element, this.flame.element);
  }

  get path(): HTMLElement {
    return this.flame.path;
  }

  get tools(): HTMLElement {
    return this.flame.tools;
  }

  get legend(): HTMLElement {
    return this.flame.legend;
  }

  update(): void {
    const of = subject(this.context);
    if (of !== this.of) Object.assign(this, { of, answer: null });
    const path = `/api/v1/compare/${this.context.store.state.table}`;
    void this.loader.ask<Comparison>(path, this.query(), (answer) => {
      this.answer = answer;
      this.show();
    });
    this.show();
  }

  /** The baseline has its own times and filters; the sizes of a box bound both sides. */
  private query(): Query {
    const { context } = this;
    const { from, to } = baselineRange(context);
    const filters = context.store.state.filters.map(({ column }) => column);
    const own = [...filters, ...(valueBounds(context).length ? [heatmapColumn(context)] : [])];
    const any = [...new Set(own)].filter((name) => column(context, name)).join(",");
    const base: Query = [
      ["from", iso(from)],
      ["to", iso(to)],
      ...(any ? [["any", any] as [string, string]] : []),
      ...filterQuery(context, baselineFilters(context)),
      ...valueBounds(context),
    ];
    const prefixed = base.map(([key, value]): [string, string] => [`base.${key}`, value]);
    return [...flameQuery(context), ...prefixed];
  }

  private show(): void {
    if (!this.element.isConnected) return;
    this.head.update(this.answer);
    // An old picture must not pass for the answer to another question.
    if (!this.answer || !this.loader.settled) return;
    const { relative, swap } = this.context.store.state;
    this.setSides(this.answer, relative, swap, ...this.sideNames(swap));
    this.flame.update();
  }

  /** While none of this changes, only zoom and search do. */
  private readonly setSides = memo(
    (answer: Comparison, relative: boolean, swap: boolean, ...sideNames: [string, string]) => {
      const shares = [answer.base_total, answer.total].map((total) => (total ? 1 / total : 0));
      const [before, after] = swap ? shares.reverse() : shares;
      const scale: [number, number] = relative ? [before, after] : [1, 1];
      const tree = comparedTree(answer, swap, scale);
      this.flame.setSource(sourceOf(this.context, answer.unit, tree, { scale, sideNames }));
      const told = [...answer.notices, ...emptySides(answer)];
      if (!relative) told.push(...this.unevenSides());
      this.notices.say("compare", told, this.context.store.state.table);
    },
  );

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

  next(direction: 1 | -1): void {
    this.flame.next(direction);
  }
}

function emptySides({ base_total, total }: Comparison): Notice[] {
  const empty = [...(base_total ? [] : ["The baseline"]), ...(total ? [] : ["The shown side"])];
  return empty.map((name) =>
    warning(`${name} holds no rows: choose another range or other filters.`),
  );
}
