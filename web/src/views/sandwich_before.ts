// The amount of a frame in the time before, or in the baseline that a comparison has.

import { get, type Query } from "../api/client";
import { measured, stackQuery, type Source } from "../flame/flame_query";
import { ratioText, type Ratio } from "../flame/ratio";
import { baselineFilters, baselineRange, withoutBox } from "../header/baseline";
import { filterQuery, question, stackColumn, type Context } from "../state/context";
import { HAS } from "../state/filters";
import { iso } from "../state/ranges";
import { bare } from "../ui/rate";
import { span } from "../ui/spans";
import type { Timeseries } from "../../generated/types";

export interface Before {
  text: string;
  when: string;
  ratio: Ratio;
}

export class FrameBefore {
  private asked = "";
  private answer: Timeseries | null = null;

  constructor(
    private readonly context: Context,
    private readonly answered: () => void,
  ) {}

  /** Null until it is known, and where the baseline is a part of what is shown. */
  of(source: Source, frame: string, now: number): Before | null {
    const { context, answer } = this;
    if (!frame || withoutBox(context)) return null;
    this.ask(frame);
    if (!answer) return null;
    const sums = answer.series.flatMap(({ values }) => values);
    const sum = sums.reduce<number>((all, one) => all + (one ?? 0), 0);
    const { rate } = source.measure;
    const base = { ...measured(context, answer.unit, answer.meta, sum), rate };
    const ratio = ratioText(sum / base.seconds, now / source.measure.seconds);
    const { from, to } = baselineRange(context);
    return { text: bare(sum, base), when: span(from, to, context.store.state.zone), ratio };
  }

  private ask(frame: string): void {
    const { context } = this;
    const path = `api/v1/timeseries/${context.store.state.table}`;
    const query = this.query(frame);
    const asked = JSON.stringify([path, query]);
    if (asked === this.asked) return;
    Object.assign(this, { asked, answer: null });
    void this.fetch(path, query, asked);
  }

  private query(frame: string): Query {
    const { context } = this;
    const { from, to } = baselineRange(context);
    const own = new Set(filterQuery(context, context.store.state.filters).map(([key]) => key));
    const rest = question(context, "box").filter(
      ([key]) => key !== "from" && key !== "to" && !own.has(key),
    );
    const through = { column: stackColumn(context), op: HAS, value: frame };
    const value = stackQuery(context).filter(([key]) => key === "value");
    return [
      ["from", iso(from)],
      ["to", iso(to)],
      ...rest,
      ...filterQuery(context, [...baselineFilters(context), through]),
      ...value,
      ["by", ""],
      ["points", "1"],
    ];
  }

  /** Without it the sandwich is right all the same. */
  private async fetch(path: string, query: Query, asked: string): Promise<void> {
    const answer = await get<Timeseries>(path, query).catch(() => null);
    if (!answer || asked !== this.asked) return;
    this.answer = answer;
    this.answered();
  }
}
