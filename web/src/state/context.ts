// The context that every part of the page shares: the state, the categories and the range.

import type { Query } from "../api/client";
import { filterKey, type Filter } from "./filters";
import { iso, knownMoment, moment } from "./ranges";
import type { State, Store } from "./address";
import type {
  Categories,
  CategoryAnswer,
  ChartAnswer,
  ColumnAnswer,
  Role,
} from "../../generated/types";

export interface Context extends Categories {
  store: Store;
  /** Resolved once per refresh, so that all charts show the same moments. */
  range: { from: number; to: number };
  refresh(): void;
  /** Asks whether there are other categories by now. */
  recheck(): void;
  /** The column that replaces the heatmap's column if no row has sizes in it. */
  sizes: { table: string; column: string } | null;
}

export function category(context: Context): CategoryAnswer | undefined {
  return context.categories.find((one) => one.table === context.store.state.table);
}

export function column(context: Context, name: string): ColumnAnswer | undefined {
  return category(context)?.columns.find((one) => one.name === name);
}

/** The columns that a filter can be on: on Home, each of any data type. */
export function filterable(context: Context): ColumnAnswer[] {
  const one = category(context);
  if (one) return one.columns;
  const all = context.categories.flatMap(({ columns }) => columns);
  return [...new Map(all.map((each) => [each.name, each])).values()];
}

export function columnsWith(one: CategoryAnswer | undefined, ...roles: Role[]): ColumnAnswer[] {
  return one?.columns.filter((column) => roles.includes(column.role)) ?? [];
}

export function chartOf(one: CategoryAnswer | undefined, kind: string): ChartAnswer | undefined {
  return one?.charts.find((chart) => chart.kind === kind);
}

export function resolve(state: State): { from: number; to: number } {
  const now = Date.now();
  const from = moment(state.from, "utc", now) ?? knownMoment("now-1h", now);
  const to = moment(state.to, "utc", now) ?? knownMoment("now", now);
  return { from, to };
}

/** Whether the shown type has the filter's column; one that does not apply stays, and is not sent. */
export function applies(context: Context, filter: Filter): boolean {
  return !category(context) || !!column(context, filter.column);
}

export function filterQuery(context: Context, filters: Filter[]): Query {
  return queryOf(filters.filter((filter) => applies(context, filter)));
}

export function queryOf(filters: Filter[]): Query {
  return filters.map((filter): [string, string] => [filterKey(filter), filter.value]);
}

/** The names of the presets that hide rows: the chosen ones, or those that do by default. */
export function activePresets(context: Context): string[] {
  const presets = category(context)?.presets ?? [];
  const { presets: chosen } = context.store.state;
  const names = chosen.split(";");
  const active = presets.filter((one) => (chosen ? names.includes(one.name) : one.default));
  return active.map(({ name }) => name);
}

function presetQuery(context: Context): Query {
  return activePresets(context).map((name) => ["preset", name]);
}

/** How the API calls the number of rows, where a value column's name could stand. */
export const ROWS = "rows";

/** The stack column that is shown: the chosen one, the first chart's, or the first of all. */
export function stackColumn(context: Context): string {
  const one = category(context);
  const stacks = columnsWith(one, "stack").map((column) => column.name);
  const { stack } = context.store.state;
  if (stacks.includes(stack)) return stack;
  return chartOf(one, "flamegraph")?.stack ?? stacks[0] ?? "";
}

/** The first flame graph that is declared of the shown stack column. */
export function flameChart(context: Context): ChartAnswer | undefined {
  const stack = stackColumn(context);
  return category(context)?.charts.find(
    (chart) => chart.kind === "flamegraph" && chart.stack === stack,
  );
}

/** The chosen value column; else the flame graph's or the timeline's, which may count rows. */
export function valueColumn(context: Context): string {
  const one = category(context);
  const values = columnsWith(one, "value").map((column) => column.name);
  const { value } = context.store.state;
  if (values.includes(value) || value === ROWS) return value;
  const flames = flameChart(context) ?? chartOf(one, "flamegraph");
  const chart = flames ?? chartOf(one, "timeseries");
  if (chart) return chart.value ?? ROWS;
  return values[0] ?? ROWS;
}

/** The column whose sizes the category's heatmap is declared to show. */
export function declaredSizes(context: Context): string {
  return chartOf(category(context), "heatmap")?.value ?? "";
}

/** The column of the heatmap that is shown: a box is of the one that it was drawn on. */
export function heatmapColumn(context: Context): string {
  const boxed = context.store.state.box?.column;
  if (boxed && column(context, boxed)) return boxed;
  const { sizes } = context;
  return sizes && sizes.table === context.store.state.table ? sizes.column : declaredSizes(context);
}

/** Rows that hold events of the box's sizes: some of a histogram's, or the mean of what is summed. */
export function valueBounds(context: Context): Query {
  const { box } = context.store.state;
  const name = heatmapColumn(context);
  return box && box.low !== null && name ? [[`${name}__holds`, `${box.low},${box.high}`]] : [];
}

/** Where there is no box, the range. */
export type Scope = "range" | "box";

/** The moments that are shown. */
export function bounds(context: Context, scope: Scope): { from: number; to: number } {
  const { box } = context.store.state;
  return scope === "box" && box ? box : context.range;
}

/** Bounds and filters of a question: the heatmap's is about the range, all others' about the box. */
export function question(context: Context, scope: Scope): Query {
  const { state } = context.store;
  const { from, to } = bounds(context, scope);
  const query: Query = [
    ["from", iso(from)],
    ["to", iso(to)],
    ...filterQuery(context, state.filters),
    ...presetQuery(context),
  ];
  return scope === "range" ? query : [...query, ...valueBounds(context)];
}
