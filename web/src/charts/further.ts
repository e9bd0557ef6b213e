// The charts of a category that have no place above the views.

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
