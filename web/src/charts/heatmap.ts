// Time across, size upward, how often as colour. A box on it bounds everything else shown.

import {
  chartOf,
  category,
  column,
  declaredSizes,
  heatmapColumn,
  question,
  type Context,
} from "../state/context";
import { button, h, replace } from "../ui/dom";
import { axisTitle, dateTime, quantity, zoneName } from "../ui/format";
import { foldButton } from "../ui/collapse";
import { Loader } from "../api/loader";
import { cells, cellSteps, paintInside, slotAt, type Drawing, type Times } from "./marks";
import {
  paintBand,
  paintTimeAxis,
  Plot,
  timeAt,
  xOfTime,
  type Area,
  type Drag,
  type Point,
  type Steps,
} from "./plot";
import type { Box } from "../state/address";
import type { Heatmap as HeatmapAnswer } from "../../generated/types";
import { iso } from "../state/ranges";

type Drawn = HeatmapAnswer & { steps: Steps; drawing: Drawing };

export class Heatmap {
  readonly element: HTMLElement;
  private readonly head = h("div.head");
  private readonly loaders = {
    declared: new Loader("Counting by size"),
    other: new Loader("Counting by size"),
  };
  private readonly plot: Plot;
  private answers: Partial<Record<"declared" | "other", Drawn>> = {};
  private readonly fold: HTMLElement;
  private anchor: Point | null = null;
  answered: (steps: Steps) => void = () => undefined;

  constructor(private readonly context: Context) {
    this.plot = new Plot(
      "Heatmap. Drag a box, or click its two corners; Escape removes it.",
      context.gutter,
      {
        axis: (area) => this.answer?.drawing.axis(area) ?? [],
        paint: (canvas, area) => this.paint(canvas, area),
        dragged: (drag) => this.choose(drag),
        clicked: (point) => this.clicked(point),
        hover: ({ x, y }) => this.answer?.drawing.at(x, y, this.plot.area, this.times) ?? [],
        cancel: () => this.clear(),
      },
    );
    this.plot.element.append(this.loaders.declared.element, this.loaders.other.element);
    this.loaders.declared.over(this.plot.canvas);
    this.element = h("section.heatmap", { "aria-label": "Heatmap" }, this.head, this.plot.element);
    // A phone has room for one of both.
    this.fold = foldButton(this.element, "Heatmap", innerWidth <= 620);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && event.target === document.body) this.clear();
    });
  }

  update(): void {
    const declared = declaredSizes(this.context);
    const shown = heatmapColumn(this.context);
    this.element.hidden = !shown;
    if (!shown) return;
    this.drawHead(shown);
    const boxed = this.context.store.state.box && shown !== declared;
    if (boxed) this.ask("other", shown);
    else this.askDeclared(declared);
    this.plot.redraw();
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
    then: (answer: HeatmapAnswer) => void = () => undefined,
  ): void {
    const query = question(this.context, "range");
    query.push(["value", name], ["points", "120"]);
    if (column(this.context, name)?.storage !== "real") query.push(["scale", "log2"]);
    const path = `/api/v1/heatmap/${this.context.store.state.table}`;
    void this.loaders[which].ask<HeatmapAnswer>(path, query, (answer) => {
      const steps = cellSteps(answer);
      this.answers[which] = { ...answer, steps, drawing: cells(answer, steps) };
      then(answer);
      if (this.answer) this.answered(this.answer.steps);
      this.plot.paint();
    });
  }

  /** The answer of the column that is shown. */
  private get answer(): Drawn | null {
    const { table } = this.context.store.state;
    const name = heatmapColumn(this.context);
    const { declared, other } = this.answers;
    const fits = (one?: Drawn) => one?.table === table && one.value_column === name;
    return [declared, other].find(fits) ?? null;
  }

  /** Rows of older agents and of scripts may not have the histogram; their values have sizes too. */
  private standIn(declared: string): Context["sizes"] {
    const one = category(this.context);
    const value = chartOf(one, "flamegraph")?.value ?? "";
    if (!one || declared === value || !column(this.context, value)?.heatmap) return null;
    return { table: one.table, column: value };
  }

  private drawHead(name: string): void {
    const { store } = this.context;
    const { box, zone } = store.state;
    const unit = axisTitle(column(this.context, name)?.unit ?? "");
    const title = chartOf(category(this.context), "heatmap")?.title ?? name;
    const head: (Node | null)[] = [
      this.fold,
      h("strong", column(this.context, name)?.prettyname ?? title, unit && ` (${unit})`),
    ];
    if (box) {
      const unit = this.answer?.unit ?? column(this.context, name)?.unit ?? "";
      const times = `${dateTime(box.from, zone)} – ${dateTime(box.to, zone).slice(11)}`;
      const text = `${times} ${zoneName(zone)}, ${bounds(box, unit)}`;
      const into = () => {
        store.set({ from: iso(box.from), to: iso(box.to), box: null, live: false });
        this.context.refresh();
      };
      const clear = button("×", () => this.clear(), { "aria-label": "Remove the box", class: "x" });
      const chip = h("span.chip.text", h("span", { title: text }, text), clear);
      head.push(chip, button("zoom into it", into));
    } else {
      head.push(h("span.hint", "drag a box: graph, table and timeline follow"));
    }
    replace(this.head, ...head);
  }

  private clear(): void {
    this.anchor = null;
    if (this.context.store.state.box) this.context.store.set({ box: null });
    this.plot.redraw();
  }

  /** The first click starts a range and the second ends it, as in FlameScope. */
  private clicked(to: Point): void {
    const from = this.anchor;
    this.anchor = from ? null : to;
    this.plot.redraw();
    if (!from || (Math.abs(from.x - to.x) < 3 && Math.abs(from.y - to.y) < 3)) return;
    this.choose({ from, to, shift: false });
  }

  private choose(drag: Drag): void {
    const { answer } = this;
    if (!answer?.lower.length) return;
    this.anchor = null;
    const { area } = this.plot;
    const { range } = this.context;
    const { steps, lower } = answer;
    const ends = [drag.from, drag.to];
    const columns = ends.map(({ x }) => steps.at(timeAt(x, area, range)));
    const rows = ends.map(({ y }) => slotAt(y, area, lower.length));
    const box: Box = {
      column: answer.value_column,
      from: Math.max(range.from, steps.span(Math.min(...columns))[0]),
      to: Math.min(range.to, steps.span(Math.max(...columns))[1]),
      low: lower[Math.min(...rows)] ?? answer.upper,
      high: lower[Math.max(...rows) + 1] ?? answer.upper,
    };
    this.context.store.set({ box, zoom: [] });
  }

  private get times(): Times {
    return { ...this.context.range, zone: this.context.store.state.zone };
  }

  private paint(canvas: CanvasRenderingContext2D, area: Area): void {
    const { range, store } = this.context;
    const { answer } = this;
    paintTimeAxis(canvas, area, range.from, range.to, store.state.zone);
    if (!answer?.lower.length) return;
    paintInside(canvas, area, area, answer.drawing, this.times);
    const { box } = store.state;
    if (box) this.paintBox(canvas, area, box, answer.lower);
    const { dragging, pointer } = this.plot;
    const from = dragging?.from ?? this.anchor;
    const to = dragging?.to ?? pointer;
    if (from && to) paintBand(canvas, area, from, to);
  }

  private paintBox(canvas: CanvasRenderingContext2D, area: Area, box: Box, lower: number[]): void {
    const xOf = xOfTime(area, this.context.range);
    const place = (size: number | null, all: number) => {
      if (size === null) return all;
      const above = lower.findIndex((bound) => bound >= size);
      return above < 0 ? lower.length : above;
    };
    const yOf = (size: number | null, all: number) =>
      area.height * (1 - place(size, all) / lower.length);
    const top = { x: xOf(box.from), y: yOf(box.high, lower.length) };
    paintBand(canvas, area, top, { x: xOf(box.to), y: yOf(box.low, 0) });
  }
}

function bounds({ low, high }: Box, unit: string): string {
  if (low === null || high === null) return "all sizes";
  return `${quantity(low, unit)} to ${quantity(high, unit)}`;
}
