// The text in a field, before it is a filter.

import { filterText, withFilter, type Filter } from "../state/filters";
import { lastPiece } from "../state/typed";
import type { ColumnAnswer } from "../../generated/types";

/** The filters with the typed ones, in the place of the one that was edited. */
export function merged(before: Filter[], edited: Filter | null, typed: Filter[]): Filter[] {
  const text = edited && filterText(edited);
  const found = before.findIndex((one) => filterText(one) === text);
  const at = found < 0 ? before.length : found;
  const all = [...before.slice(0, at), ...typed, ...before.slice(at + 1)];
  return all.reduce<Filter[]>((kept, one) => withFilter(kept, one), []);
}

export function without(filters: Filter[], gone: Filter | null): Filter[] {
  return gone ? filters.filter((one) => filterText(one) !== filterText(gone)) : filters;
}

/** Whether each typed filter has a value, and an operator that its column takes. */
export function whole(
  text: string,
  typed: Filter[],
  columns: ColumnAnswer[],
  edited: Filter | null,
): boolean {
  const takes = ({ column, op }: Filter): boolean => {
    // An operator from the address stays until a person types another.
    if (edited?.op === op) return true;
    return columns.find(({ name }) => name === column)?.operators.includes(op) ?? true;
  };
  const { column, value } = lastPiece(text, columns);
  return typed.every(takes) && (!column || value !== "");
}
