// All further charts that the category declares, except those that the page shows above the tabs.

import { get, type Query } from "../api/client";
import { bounds, category, question, type Context } from "../state/context";
import { h, replace } from "../ui/dom";
import { Loader } from "../api/loader";
import type { Part } from "../ui/part";
import { Figure } from "../charts/figure";
import type { CategoryAnswer, ChartConfig, Charts } from "../../generated/types";

const configs = new Map<string, Promise<ChartConfig[]>>();

export function chartConfigs(table: string): Promise<ChartConfig[]> {
  let known = configs.get(table);
  if (!known) {
    known = get<Charts>(`/api/v1/charts/${table}`, []).then((one) => one.charts);
    known.catch(() => configs.delete(table));
    configs.set(table, known);
  }
  return known;
}

/** The first heatmap and timeline have their place above; all others are drawn here. */
export function furtherCharts<C extends Measured>(charts: C[]): C[] {
  const first = (kind: string) => charts.find((chart) => chart.kind === kind);
  const above = new Set([first("heatmap")]);
  const [graph, timeline] = [first("flamegraph"), first("timeseries")];
  // The timeline begins with the flame graph's value, which may be another than its own.
  if (timeline && (!graph || valueOf(graph) === valueOf(timeline))) above.add(timeline);
  return charts.filter((chart) => !above.has(chart) && chart.kind !== "flamegraph");
}

/** A chart as declared, or as its question asks. */
interface Measured {
  kind: string;
  value?: string;
  query?: Record<string, string>;
}

function valueOf({ value, query }: Measured): string {
  return value ?? query?.["value"] ?? "";
}

export class ChartsView implements Part {
  readonly element = h("div.charts");
  private cells: Cell[] = [];
  private table = "";

  constructor(private readonly context: Context) {}

  update(): void {
    void this.fill();
  }

  private async fill(): Promise<void> {
    const { table } = this.context.store.state;
    if (table !== this.table) {
      this.table = table;
      const all = await chartConfigs(table);
      const shown = category(this.context);
      if (this.table !== table || !shown) return;
      this.cells = furtherCharts(all).map((config) => new Cell(this.context, config, shown));
      replace(this.element, ...this.cells.map((cell) => cell.element));
    }
    for (const cell of this.cells) cell.update();
  }
}

class Cell {
  readonly element: HTMLElement;
  private readonly figure: Figure;
  private readonly loader: Loader;

  constructor(
    private readonly context: Context,
    private readonly config: ChartConfig,
    shown: CategoryAnswer,
  ) {
    this.figure = new Figure(shown, config, () => ({
      ...bounds(context, "box"),
      zone: context.store.state.zone,
    }));
    const { plot, legend } = this.figure;
    this.loader = new Loader(config.title).over(plot.canvas, legend);
    plot.element.append(this.loader.element);
    this.element = this.figure.element;
  }

  update(): void {
    const { question: asked, ...parameters } = this.config.query;
    const query: Query = [...question(this.context, "box"), ...Object.entries(parameters)];
    if (asked === "timeseries") query.push(["points", "60"]);
    const path = `/api/v1/${asked}/${this.context.store.state.table}`;
    void this.loader.ask(path, query, (answer) => this.figure.show(answer));
    this.figure.plot.redraw();
  }
}
