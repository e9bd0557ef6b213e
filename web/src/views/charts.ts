// All further charts that the category declares, from the specs that were generated for it.

import { get, type Query } from "../api/client";
import { category, question, type Context } from "../state/context";
import { h, replace } from "../ui/dom";
import { Loader } from "../api/loader";
import type { Part } from "../ui/part";
import type { Mark } from "../api/types.generated";
import type { Spec } from "../charts/marks";

export interface ChartConfig {
  kind: string;
  title: string;
  unit: string;
  mark: Mark;
  query: { path: string; parameters: Record<string, string> };
  spec: Spec | null;
}

const configs = new Map<string, Promise<ChartConfig[]>>();

export function chartConfigs(table: string): Promise<ChartConfig[]> {
  let known = configs.get(table);
  if (!known) {
    known = get<{ charts: ChartConfig[] }>(`/api/v1/charts/${table}`, []).then((one) => one.charts);
    known.catch(() => configs.delete(table));
    configs.set(table, known);
  }
  return known;
}

/** The first heatmap and timeline have their place above; all else that has a spec is drawn here. */
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
  query?: { parameters: Record<string, string> };
}

function valueOf({ value, query }: Measured): string {
  return value ?? query?.parameters["value"] ?? "";
}

export class ChartsView implements Part {
  readonly element = h("div", { class: "charts" });
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
      if (this.table !== table) return;
      this.cells = furtherCharts(all).map((config) => new Cell(this.context, config));
      replace(this.element, ...this.cells.map((cell) => cell.element));
    }
    for (const cell of this.cells) cell.update();
  }

  repaint(): void {
    for (const cell of this.cells) void cell.draw();
  }

  next(): void {
    // Charts hold no frames to step through.
  }
}

class Cell {
  readonly element: HTMLElement;
  private readonly place = h("div", { class: "vega" });
  private readonly loader: Loader;
  private answer: unknown = null;

  constructor(
    private readonly context: Context,
    private readonly config: ChartConfig,
  ) {
    this.loader = new Loader(config.title).over(this.place);
    this.element = h(
      "figure",
      {},
      h("figcaption", {}, config.title),
      h("div", { class: "plot" }, this.place, this.loader.element),
    );
  }

  update(): void {
    const { path, parameters } = this.config.query;
    const query: Query = [...question(this.context, "box"), ...Object.entries(parameters)];
    if (["area", "line"].includes(this.config.mark)) query.push(["points", "60"]);
    void this.loader.ask(path, query, (answer) => {
      this.answer = answer;
      void this.draw();
    });
  }

  async draw(): Promise<void> {
    const { answer } = this;
    if (!answer || !this.config.spec || !category(this.context)) return;
    const { drawSpec } = await import("../charts/marks");
    await drawSpec(this.place, this.config, answer, this.context.store.state.zone);
  }
}
