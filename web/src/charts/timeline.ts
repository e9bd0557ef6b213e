// How much over time, split by a column: in threads, in CPUs, in events a second.

import { get, type Query } from "../api/client";
import { Loader } from "../api/loader";
import {
  category,
  chartOf,
  question,
  valueColumn,
  type Context,
  type Scope,
} from "../state/context";
import { statesOf } from "../ui/states";
import type { Times } from "./drawing";
import { Plot } from "./plot";
import { addsUp, drawn, Lines, sum } from "./series";
import type { Range } from "./steps";
import type { Timeseries, Top } from "../../generated/types";

const SERIES = 6;
/** How many steps the range is cut into, at most; the heatmap's is cut alike. */
export const POINTS = 120;

/** A series, or all of them, in the selection, or else in the range. */
export interface Figure {
  name: string;
  rest: boolean;
  color: string;
  /** The sum or the mean; null while it is not known. */
  value: number | null;
  /** As it is drawn. */
  rate: number | null;
  /** The median rate of the steps outside of the selection, if that leaves enough of them. */
  usual: number | null;
}

export interface Figures {
  answer: Timeseries;
  lines: Lines;
  whole: Figure;
  each: Figure[];
}

export class Timeline {
  readonly plot: Plot;
  readonly loader = new Loader("Summing over time");
  private readonly boxLoader = new Loader("Summing the selection");
  private lines: Lines | null = null;
  private boxed: Timeseries | null = null;
  private told: Timeseries | null = null;
  /** Of what is averaged: over all rows, and of each series. */
  private means: Means | null = null;
  answered: (answer: Timeseries) => void = () => undefined;
  changed: () => void = () => undefined;

  constructor(
    private readonly context: Context,
    times: () => Times,
  ) {
    this.plot = new Plot("timeline", "Timeline", times);
    this.plot.element.append(this.loader.element);
  }

  get by(): string {
    const { by } = this.context.store.state;
    if (by === "-") return "";
    return by || chartOf(category(this.context), "timeseries")?.by || "";
  }

  private asks(scope: Scope): Query {
    const value = valueColumn(this.context);
    return [
      ...question(this.context, scope),
      ["value", value],
      ["by", this.by],
      ["n", String(SERIES)],
    ];
  }

  update(): void {
    const { table, box } = this.context.store.state;
    const path = `api/v1/timeseries/${table}`;
    const query: Query = [...this.asks("range"), ["points", String(POINTS)]];
    void this.loader.ask<Timeseries>(path, query, (answer) => {
      this.lines = new Lines(answer, statesOf(category(this.context)));
      this.plot.drawing = drawn(this.lines);
      this.tell();
    });
    if (box) {
      const inside: Query = [...this.asks("box"), ["points", "1"]];
      void this.boxLoader.ask<Timeseries>(path, inside, (answer) => {
        this.boxed = answer;
        this.tell();
      });
    }
    this.tell();
  }

  /** Says whose answer the figures are of, if that is another than before. */
  private tell(): void {
    const { shown } = this;
    if (shown && shown !== this.told) {
      this.told = shown;
      this.means = null;
      if (!addsUp(shown.aggregate)) void this.askMeans(shown);
      this.answered(shown);
    }
    this.changed();
  }

  /** The mean of steps is not the mean of rows, which steps have different numbers of. */
  private async askMeans(of: Timeseries): Promise<void> {
    try {
      const by = [this.by, "hostname"].filter(Boolean);
      const [each, whole] = await Promise.all(by.map((name) => this.askGroups(name)));
      if (this.shown !== of || !each) return;
      this.means = meansOf(of, each, whole ?? each);
      this.changed();
    } catch {
      // The chart is there; only the numbers beside it are not known.
    }
  }

  private askGroups(by: string): Promise<Top> {
    const value = valueColumn(this.context);
    const query = question(this.context, "box");
    query.push(["value", value], ["by", by], ["n", "1000"]);
    return get<Top>(`api/v1/top/${this.context.store.state.table}`, query);
  }

  /** The answer that the figures are of. */
  private get shown(): Timeseries | null {
    if (!this.context.store.state.box) return this.lines?.answer ?? null;
    return this.boxLoader.settled ? this.boxed : null;
  }

  /** The numbers beside the plot; null while the answer is not there. */
  figures(): Figures | null {
    const { lines, shown } = this;
    const { table, box } = this.context.store.state;
    if (!lines || !shown || shown.table !== table || lines.answer.table !== table) return null;
    const us = shown.meta.to - shown.meta.from;
    const adds = addsUp(shown.aggregate);
    const outside = box && adds ? outsideOf(lines, box) : null;
    const each = shown.series.map(({ name, rest, values }): Figure => {
      const known = lines.lines.find((one) => one.name === name && one.rest === rest);
      const value = adds ? sum(values) : (this.means?.each.get(name) ?? null);
      const rate = value === null ? null : lines.rate.of(value, us);
      const usual = outside && known ? median(outside.map((k) => known.values[k] ?? 0)) : null;
      return { name, rest, color: known?.color ?? "var(--s0)", value, rate, usual };
    });
    const value = adds ? each.reduce((all, one) => all + (one.value ?? 0), 0) : this.means?.whole;
    const rate = value == null ? null : lines.rate.of(value, us);
    const totals = outside?.map((k) => sum(lines.lines.map(({ values }) => values[k])));
    const usual = totals ? median(totals) : null;
    const whole = { name: "", rest: false, color: "", value: value ?? null, rate, usual };
    return { answer: shown, lines, whole, each };
  }
}

/** The step that is drawn at each step outside of a selection, if that is enough to tell what is usual. */
function outsideOf({ steps }: Lines, box: Range): number[] | null {
  const drawn = Array.from({ length: steps.count }, (_, k) => steps.over(k));
  const found = drawn.filter((k) => {
    const [from, to] = steps.span(k);
    return to <= box.from || from >= box.to;
  });
  return found.length >= 4 ? found : null;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle) - 1]) / 2;
}

interface Means {
  whole: number | null;
  each: Map<string, number | null>;
}

/** `whole` has few groups; the rest of a split is what the named series leave of it. */
function meansOf(answer: Timeseries, each: Top, whole: Top): Means {
  const complete = whole.groups === whole.entries.length;
  const all = complete ? together(whole.entries) : null;
  const found = new Map(each.entries.map((one) => [one.key.join(), one]));
  const means = new Map<string, number | null>();
  const named = answer.series.flatMap((one) => (one.rest ? [] : (found.get(one.name) ?? [])));
  for (const one of named) means.set(one.key.join(), one.value);
  const part = together(named);
  for (const { name, rest } of answer.series) {
    if (rest && all) means.set(name, (all.sum - part.sum) / (all.rows - part.rows));
  }
  return { whole: all && all.rows ? all.sum / all.rows : null, each: means };
}

function together(entries: Top["entries"]): { sum: number; rows: number } {
  const rows = entries.reduce((count, one) => count + one.rows, 0);
  return { rows, sum: entries.reduce((all, one) => all + (one.value ?? 0) * one.rows, 0) };
}
