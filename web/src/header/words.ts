// A filter as a sentence: "Process is mysqld".

import { column, type Context } from "../state/context";
import type { Filter } from "../state/filters";
import { quantity } from "../ui/format";
import { plain, short } from "../ui/text";

export function filterWords(context: Context, filter: Filter): string {
  const name = column(context, filter.column)?.prettyname ?? short(plain(filter.column), 80);
  const value = short(plain(valueWords(context, filter)), 200);
  return `${name} ${short(plain(operatorWords(context, filter.op)), 80)} ${value}`;
}

/** An operator that the server does not know is shown by its name. */
export function operatorWords(context: Context, op: string): string {
  return context.operators.find((one) => one.name === op)?.words ?? op;
}

/** A bare number has its column's unit; a value that names a unit stays unchanged. */
function valueWords(context: Context, { column: name, op, value: whole }: Filter): string {
  const value = short(whole, 2000);
  const known = column(context, name);
  const role = known?.role;
  if (!known || (role !== "value" && role !== "histogram")) return value;
  const many = context.operators.find((one) => one.name === op)?.many ?? false;
  const words = (text: string) =>
    text.trim() === "" || Number.isNaN(Number(text)) ? text : quantity(Number(text), known.unit);
  return many && !value.startsWith("[") ? value.split(",").map(words).join(", ") : words(value);
}
