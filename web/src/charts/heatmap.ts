// Time across, size upward, the time spent or the number of events as colour.

import { get, type Query } from "../api/client";
import { Loader } from "../api/loader";
import {
  category,
  chartOf,
  column,
  declaredSizes,
  heatmapColumn,
  question,
  type Context,
} from "../state/context";
import { iso } from "../state/ranges";
import { percent } from "../ui/format";
import { telling } from "../flame/frames";
import { plain, short } from "../ui/text";
import { cells, type Weigh } from "./cells";
import { slotAt, timeAt, type Times } from "./drawing";
import { Plot } from "./plot";
import { POINTS } from "./timeline";
import type { Heatmap as Answer } from "../../generated/types";

export class Heatmap {
  readonly plot: Plot;
  readonly loaders = {
    declared: new Loader("Counting by size"),
    other: new Loader("Counting by size"),
  };
  private answers: Partial<Record<"declared" | "other", Answer>> = {};
  changed: () => void = () => undefined;

  constructor(
    private readonly context: Context,
    private readonly times: () => Times,
  ) {
    this.plot = new Plot("heatmap", "Heatmap", times);
    this.plot.element.append(this.loaders.declared.element, this.loaders.other.element);
    this.plot.rests = (x, y, stop) => this.dominating(x, y, stop);
  }

  update(): void {
    const declared = declaredSizes(this.context);
    const shown = heatmapColumn(this.context);
    this.plot.element.hidden = !shown;
    if (!shown) return;
    const { prettyname = shown } = column(this.context, shown) ?? {};
    this.plot.canvas.setAttribute("aria-label", `Heatmap of ${prettyname}`);
    const boxed = this.context.store.state.box?.column && shown !== declared;
    if (boxed) this.ask("other", shown);
    else this.askDeclared(declared);
    this.draw();
  }

  private askDeclared(declared: string): void {
    const { sizes } = this.context;
    this.ask("declared", declared, (answer) => {
      const without = answer.meta.rows > 0 && !answer.lower.length;
      this.context.sizes = without ? this.standIn(declared) : null;
      if (this.context.sizes?.column !== sizes?.column) this.update();
    });
    if (sizes && sizes.table === this.context.store.state.table) this.ask("other", sizes.column);
  }

  private ask(
    which: "declared" | "other",
    name: string,
    then: (answer: Answer) => void = () => undefined,
  ): void {
    const query = this.asks(name);
    const path = `api/v1/heatmap/${this.context.store.state.table}`;
    void this.loaders[which].ask<Answer>(path, query, (answer) => {
      this.answers[which] = answer;
      then(answer);
      this.draw();
      this.changed();
    });
  }

  private asks(name: string): Query {
    const query = question(this.context, "range");
    return [...query, ["value", name], ["points", String(POINTS)]];
  }

  private draw(): void {
    const { answer } = this;
    this.plot.drawing = answer && cells(answer, this.weigh);
  }

  /** The answer of the column that is shown. */
  private get answer(): Answer | null {
    const { table } = this.context.store.state;
    const name = heatmapColumn(this.context);
    const { declared, other } = this.answers;
    const fits = (one?: Answer) => one?.table === table && one.value_column === name;
    return [declared, other].find(fits) ?? null;
  }

  /** Whether colour can stand for the time spent. */
  get ofTime(): boolean {
    return !!this.answer?.weights.length;
  }

  get weigh(): Weigh {
    return this.ofTime && this.context.store.state.weigh !== "events" ? "time" : "events";
  }

  /** Rows of older agents and of scripts may not have the histogram; their values have sizes too. */
  private standIn(declared: string): Context["sizes"] {
    const one = category(this.context);
    const value = chartOf(one, "flamegraph")?.value ?? "";
    if (!one || declared === value || !column(this.context, value)?.heatmap) return null;
    return { table: one.table, column: value };
  }

  /** The stack with most of a cell. */
  private async dominating(x: number, y: number, signal: AbortSignal): Promise<string> {
    const { answer, plot } = this;
    const { around, slots } = plot.drawing ?? {};
    if (!answer || !around || !slots?.lower.length) return "";
    const row = slotAt(y, plot.area, slots.lower.length);
    const time = timeAt(x, plot.area, this.times());
    const { to } = around(time, time);
    const sizes = [slots.lower[row], slots.lower[row + 1] ?? slots.upper];
    const query: Query = [...this.asks(answer.value_column), ["weigh", this.weigh]];
    // The rows of an interval have the time of its end.
    query.push(["cell", [iso(to - 1), ...sizes].join(",")]);
    const path = `api/v1/heatmap/${answer.table}`;
    return mostText((await get<Answer>(path, query, signal)).top);
  }
}

function mostText([first]: Answer["top"]): string {
  if (!first) return "";
  const frame = short(plain(telling(first.stack.split(";"))), 60);
  const names = [frame, first.group && `of ${short(plain(first.group), 40)}`].filter(Boolean);
  return `most: ${names.join(" ")}, ${percent(first.share, 1)}`;
}
