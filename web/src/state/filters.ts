// Filters: what the API calls `column=value` and `column__op=value`.

export interface Filter {
  column: string;
  op: string;
  value: string;
}

/** The operators of a filter on a frame: stacks that have exactly this frame, or do not. */
export const HAS = "has";
export const LACKS = "lacks";

/** Sizes are compared more often than they are equal. */
const FIRST: Record<string, string> = { value: "gte", time: "gte" };

/** The operator that a new filter on a column starts with. */
export function firstOperator(role: string, operators: string[]): string {
  const wanted = FIRST[role] ?? "";
  return operators.includes(wanted) ? wanted : (operators[0] ?? "eq");
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

/** The filter for one group of an answer; null, which has no name, is asked for by `null`. */
export function oneOf(column: string, name: string, operators: string[]): Filter {
  const isNull = name === "" && operators.includes("null");
  return isNull ? { column, op: "null", value: "true" } : { column, op: "eq", value: name };
}

export function withFilter(filters: Filter[], added: Filter): Filter[] {
  const same = (filter: Filter) => filterText(filter) === filterText(added);
  return filters.some(same) ? filters : [...filters, added];
}
