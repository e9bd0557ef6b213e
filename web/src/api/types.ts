// What the read API answers (docs/reference); times are microseconds since the epoch, UTC.

export interface Column {
  name: string;
  type: string;
  role: "time" | "dimension" | "identity" | "value" | "stack" | "histogram";
  prettyname: string;
  unit: string;
  help: string;
  /** Which filters it takes. */
  operators: string[];
  /** A row may leave it out. */
  optional: boolean;
  /** A value as a row has it. */
  example: unknown;
}

export interface Chart {
  kind: string;
  title: string;
  value?: string;
  stack?: string;
  by?: string;
  unit?: string;
}

export interface Category {
  table: string;
  prettyname: string;
  description: string;
  columns: Column[];
  charts: Chart[];
  has_probe?: boolean;
}

export interface CategoryProblem {
  file: string;
  line: number;
  path: string;
  message: string;
}

/** A table with rows that no category declares any more. */
export interface Leftover {
  table: string;
  message: string;
}

export interface Notice {
  level: "info" | "warning";
  text: string;
}

export interface Meta {
  from: number;
  to: number;
  source: string;
  rows: number;
  elapsed_ms: number;
}

export interface Answer {
  meta: Meta;
  notices: Notice[];
}

/** A merged stack tree in preorder, one array per attribute; node 0 is the root. */
export interface FlameAnswer extends Answer {
  unit: string;
  names: string[];
  name: number[];
  level: number[];
  value: number[];
  self: number[];
  /** How many events each node sums. */
  count?: number[];
  total: number;
  rows: number;
  /** The value of all groups that are not shown: a node `other` below the root sums them. */
  rest?: number;
}

export interface RowsAnswer extends Answer {
  columns: string[];
  rows: unknown[][];
  next: string | null;
}

export interface TimeseriesAnswer extends Answer {
  by: string;
  aggregate: string;
  step: number;
  times: number[];
  /** `rest` sums what has no series of its own. */
  series: { name: string; values: (number | null)[]; rest?: boolean }[];
  unit: string;
}

/** `groups` is how many there are, of which `entries` has the first. */
export interface TopAnswer extends Answer {
  groups: number;
  unit: string;
  entries: { key: string[]; value: number | null; rows: number }[];
}

export interface HistogramAnswer extends Answer {
  lower: number[];
  /** Ends the last slot. */
  upper: number;
  counts: number[];
  unit: string;
}

export interface HeatmapAnswer extends Answer {
  table: string;
  value_column: string;
  step: number;
  times: number[];
  lower: number[];
  /** Ends the last slot. */
  upper: number;
  counts: number[][];
  unit: string;
}
