// The differential flame graph: what is shown now beside another range, other filters, another host.

import type { Query } from "../api/client";
import { Loader } from "../api/loader";
import type { Comparison, Notice } from "../../generated/types";
import {
  apart,
  comparedTree,
  flameQuery,
  measuredSides,
  sourceOf,
  subject,
} from "../flame/flame_query";
import { ratioText } from "../flame/ratio";
import type { SearchBox } from "../flame/search";
import { baselineFilters, baselineRange, REST, sideWords, withoutBox } from "../header/baseline";
import { CompareHead, type Totals } from "../header/compare_head";
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
import { memo } from "../ui/memo";
import { told, word, type Measure } from "../ui/rate";
import { comparedNames } from "../flame/names_compared";
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
    this.flame = new FlameView("Differential flame graph", context, search, comparedNames);
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
    const path = `api/v1/compare/${this.context.store.state.table}`;
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
    const rest = context.store.state.box && context.store.state["base.from"] === REST;
    const sizes = rest ? [] : valueBounds(context);
    const own = [...filters, ...(valueBounds(context).length ? [heatmapColumn(context)] : [])];
    const any = [...new Set(own)].filter((name) => column(context, name)).join(",");
    const base: Query = [
      ["from", iso(from)],
      ["to", iso(to)],
      ...(any ? [["any", any] as [string, string]] : []),
      ...filterQuery(context, baselineFilters(context)),
      ...sizes,
    ];
    const prefixed = base.map(([key, value]): [string, string] => [`base.${key}`, value]);
    return [...flameQuery(context), ...prefixed];
  }

  private show(): void {
    if (!this.element.isConnected) return;
    const answer = this.answer && withoutBox(this.context) ? this.apart(this.answer) : this.answer;
    const measures = answer && this.measures(answer);
    const words = measures?.[1].rate ? word(measures[1]) : "amounts a second";
    this.head.update(answer && measures && this.totals(answer, measures), words);
    // An old picture must not pass for the answer to another question.
    if (!answer || !this.loader.settled) return;
    const { relative, swap } = this.context.store.state;
    this.setSides(answer, relative, swap, ...this.sideNames(swap));
    this.flame.update();
  }

  /** Those of the baseline and of what is shown. The baseline without the box is as much shorter. */
  private measures(answer: Comparison): [Measure, Measure] {
    const { context } = this;
    const [base, shown] = measuredSides(context, answer);
    const less = withoutBox(context) && context.store.state["base.from"] !== REST;
    const seconds = less ? Math.max(1e-6, base.seconds - shown.seconds) : base.seconds;
    return [{ ...base, seconds }, shown];
  }

  private totals(answer: Comparison, measures: [Measure, Measure]): Totals {
    const sums = [answer.base_total, answer.total];
    const amounts = sums.map((sum, k) => told(sum, measures[k])) as [string, string];
    const rates = sums.map((sum, k) => sum / measures[k].seconds);
    const [before, after] = this.context.store.state.swap ? rates.reverse() : rates;
    const { text, tone } = ratioText(before, after);
    return { amounts, ratio: text, tone };
  }

  private readonly apart = memo(apart);

  /** While none of this changes, only zoom and search do. */
  private readonly setSides = memo(
    (answer: Comparison, shares: boolean, swap: boolean, ...names: [string, string]) => {
      const both = this.measures(answer);
      const wholes = [answer.base_total, answer.total];
      const factors = both.map(({ seconds }, k) => 1 / ((shares ? wholes[k] : seconds) || 1));
      const turned = <T>(pair: T[]) => (swap ? pair.reverse() : pair) as [T, T];
      const [scale, measures] = [turned(factors), turned(both)];
      const tree = comparedTree(answer, swap, scale);
      const sides = { scale, measures, names, shares };
      this.flame.setSource(sourceOf(this.context, measures[1], tree, sides));
      const said = [...answer.notices, ...emptySides(answer)];
      this.notices.say("compare", said, this.context.store.state.table);
    },
  );

  private sideNames(swap: boolean): [string, string] {
    const { context } = this;
    const baseline = sideWords(context, baselineRange(context), baselineFilters(context));
    const shown = sideWords(context, bounds(context, "box"), context.store.state.filters);
    return swap ? [shown, baseline] : [baseline, shown];
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
