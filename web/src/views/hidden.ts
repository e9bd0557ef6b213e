// How much the filters that hide stacks take away, and the way to bring it back.

import { get, type Query } from "../api/client";
import { filterKey, LACKS, type Filter } from "../state/filters";
import { column, question, type Context } from "../state/context";
import { measured, stackQuery } from "../flame/flame_query";
import type { Timeseries } from "../../generated/types";
import { label } from "../flame/paint";
import { button, h, replace } from "../ui/dom";
import { memo } from "../ui/memo";
import { told } from "../ui/rate";
import { short } from "../ui/text";

export class HiddenAmount {
  readonly element = h("span.hiddenamount");
  /** Counts the questions: only the last one's answer is shown. */
  private asked = 0;

  constructor(private readonly context: Context) {}

  /** `shown` is the sum of what is left; null while that is not known. */
  update(shown: number | null): void {
    const hiding = this.context.store.state.filters.filter((filter) => this.hides(filter));
    this.ask(JSON.stringify(hiding), shown, this.query(hiding));
  }

  private hides({ column: name, op }: Filter): boolean {
    return op === LACKS && column(this.context, name)?.role === "stack";
  }

  /** The question about everything, as text: its answer changes with nothing else. */
  private query(hiding: Filter[]): string {
    const without = question(this.context, "box").filter(
      ([key, value]) => !hiding.some((one) => filterKey(one) === key && one.value === value),
    );
    const value = stackQuery(this.context).filter(([key]) => key === "value");
    return JSON.stringify([...without, ...value, ["by", ""], ["points", "1"]]);
  }

  private readonly ask = memo((hiding: string, shown: number | null, query: string) => {
    const filters: Filter[] = JSON.parse(hiding);
    this.asked++;
    if (!filters.length || shown === null) replace(this.element);
    else void this.fetch(filters, shown, JSON.parse(query), this.asked);
  });

  private async fetch(
    filters: Filter[],
    shown: number,
    query: Query,
    asked: number,
  ): Promise<void> {
    const { store } = this.context;
    const path = `api/v1/timeseries/${store.state.table}`;
    // Without it the graph is right all the same: the filters say that something is hidden.
    const answer = await get<Timeseries>(path, query).catch(() => null);
    if (asked !== this.asked || !answer) return;
    const sums = answer.series.flatMap(({ values }) => values);
    const all = sums.reduce<number>((before, one) => before + (one ?? 0), 0);
    const measure = measured(this.context, answer.unit, answer.meta, all);
    const text = told(Math.max(0, all - shown), measure);
    const names = filters.map(({ value }) => short(label(value), 80)).join(", ");
    const left = store.state.filters.filter((filter) => !this.hides(filter));
    const show = button(`${text} hidden`, () => store.set({ filters: left }), {
      title: `Stacks through ${names} are hidden: a click shows them`,
    });
    replace(this.element, show);
  }
}
