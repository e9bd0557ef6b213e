// Filters: what the API calls `column=value` and `column__op=value`.

export interface Filter {
  column: string;
  op: string;
  value: string;
}

/** How an operator is written on a chip. The API's default, equality, has no name in the address. */
export const OPERATORS: Record<string, string> = {
  eq: "is",
  ne: "is not",
  gte: "≥",
  lte: "≤",
  gt: ">",
  lt: "<",
  contains: "contains",
  not_contains: "lacks",
  startswith: "starts with",
  regex: "matches",
  in: "is one of",
  holds: "holds sizes",
};

const BY_ROLE: Record<string, string[]> = {
  dimension: ["eq", "ne", "contains", "not_contains", "startswith", "regex", "in"],
  identity: ["eq", "ne", "gte", "lte", "gt", "lt", "in"],
  value: ["gte", "lte", "gt", "lt", "eq", "ne"],
  stack: ["contains", "not_contains", "regex"],
  time: ["gte", "lt"],
  histogram: ["holds"],
};

export function operatorsFor(role: string, type: string): string[] {
  if (type === "text") return BY_ROLE["dimension"]!;
  return BY_ROLE[role] ?? ["eq"];
}

export function parseFilter(text: string): Filter {
  const at = text.indexOf("=");
  const key = at < 0 ? text : text.slice(0, at);
  const value = at < 0 ? "" : text.slice(at + 1);
  const split = key.lastIndexOf("__");
  if (split > 0) return { column: key.slice(0, split), op: key.slice(split + 2), value };
  return { column: key, op: "eq", value };
}

export function filterKey(filter: Filter): string {
  return filter.op === "eq" ? filter.column : `${filter.column}__${filter.op}`;
}

export function filterText(filter: Filter): string {
  return `${filterKey(filter)}=${filter.value}`;
}

export function withFilter(filters: Filter[], added: Filter): Filter[] {
  const same = (filter: Filter) => filterText(filter) === filterText(added);
  return filters.some(same) ? filters : [...filters, added];
}
