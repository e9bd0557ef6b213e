// All further charts that the category declares, except those that the page shows above the tabs.

import type { Query } from "../api/client";
import { bounds, category, question, type Context, type Scope } from "../state/context";
import { h, replace } from "../ui/dom";
import { Loader } from "../api/loader";
import { Cover } from "../ui/cover";
import { memo } from "../ui/memo";
import { explainEmpty } from "./empty";
import { Figure } from "../charts/figure";
import { furtherCharts } from "../charts/further";
import { Markers } from "../charts/markers";
import { Selecting } from "../charts/selecting";
import type { CategoryAnswer, ChartConfig, Charts, Meta } from "../../generated/types";

export class ChartsView {
  readonly element: HTMLElement;
  private readonly charts = h("div.charts");
  private readonly over = new Cover(h("div.explained"));
  private readonly loader = new Loader("Asking for the charts");
  private cells: Cell[] = [];
  private readonly selecting: Selecting;
  private readonly markers: Markers;

  constructor(private readonly context: Context) {
    this.selecting = new Selecting(context);
    this.markers = new Markers(context, () => {
      for (const cell of this.cells) cell.figure.surface.redraw();
    });
    this.element = h("div", this.loader.element, this.over.element, this.charts);
  }

  update(): void {
    const shown = category(this.context);
    if (!shown) return;
    this.forget(shown.table);
    this.markers.update();
    void this.loader.ask<Charts>(`api/v1/charts/${shown.table}`, [], ({ charts }) => {
      const { context, selecting, markers } = this;
      const one = (config: ChartConfig) => new Cell(context, config, shown, selecting, markers);
      this.cells = furtherCharts(charts).map(one);
      replace(this.charts, ...this.cells.map((cell) => cell.element));
      void this.over.say(null);
      this.fill();
    });
    if (this.loader.settled) this.fill();
  }

  /** Another table needs another explanation. */
  private readonly forget = memo((_table: string) => void this.over.say(null));

  private fill(): void {
    for (const cell of this.cells) cell.update(() => this.explain());
  }

  /** One explanation in place of all charts if they are empty. */
  private explain(): void {
    if (this.cells.some(({ rows }) => rows > 0)) void this.over.say(null);
    else if (this.cells.every(({ loader }) => loader.settled)) {
      void this.over.say(explainEmpty(this.context));
    }
  }
}

class Cell {
  readonly element: HTMLElement;
  readonly loader: Loader;
  rows = 0;
  readonly figure: Figure;
  /** A chart over time shows the whole range, with the selection in it; others are of the selection. */
  private readonly scope: Scope;

  constructor(
    private readonly context: Context,
    private readonly config: ChartConfig,
    shown: CategoryAnswer,
    selecting: Selecting,
    markers: Markers,
  ) {
    const times = () => ({ ...bounds(context, this.scope), zone: context.store.state.zone });
    const host = { times, markers: () => markers.list };
    this.figure = new Figure(shown, config, host, selecting);
    this.scope = this.figure.timed ? "range" : "box";
    const { plot, legend } = this.figure;
    this.loader = new Loader(config.title).over(plot.canvas, legend);
    plot.element.append(this.loader.element);
    this.element = this.figure.element;
  }

  update(answered: () => void): void {
    const { question: asked, ...parameters } = this.config.query;
    const query: Query = [...question(this.context, this.scope), ...Object.entries(parameters)];
    if (asked === "timeseries") query.push(["points", "60"]);
    const path = `api/v1/${asked}/${this.context.store.state.table}`;
    void this.loader.ask<{ meta: Meta }>(path, query, (answer) => {
      this.rows = answer.meta.rows;
      this.figure.show(answer);
      answered();
    });
    this.figure.surface.redraw();
  }
}
