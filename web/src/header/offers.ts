// Completions of a filter that is being typed: columns, operators, and values with their rows.

import { get, type Query } from "../api/client";
import { category, filterable, queryOf, type Context } from "../state/context";
import { firstOperator, HAS, LACKS, type Filter } from "../state/filters";
import { iso } from "../state/ranges";
import { lastPiece, parseTyped, quoted, signsOf, typedName, type Piece } from "../state/typed";
import { exact } from "../ui/format";
import type { Icon } from "../ui/icons";
import { operatorWords } from "./words";
import type { CategoryAnswer, ColumnAnswer, Values } from "../../generated/types";

/** One line of the list under the field. */
export interface Offer {
  text: string;
  note: string;
  /** How much of the data it is. */
  amount?: string;
  icon?: Icon;
  /** The text before the caret after the choice; the filter is then whole, or goes on. */
  typed?: { text: string; whole: boolean };
  run?: () => void;
}

export interface Offered {
  title: string;
  offers: Offer[];
  /** Help for the piece, where nothing can be chosen. */
  hint: string;
}

const EXAMPLES: Record<string, string> = {
  us: "5ms, 1.5s; a bare number is in µs",
  ns: "5us, 1.5s; a bare number is in ns",
  bytes: "64KiB, 2MB; a bare number is in bytes",
};
const SIGNS = "= is · != is not · ~ contains · ^ starts with · > < 5ms, 64KiB · a,b any of";
const MOST = 8;

/** Whether the server has values to offer. */
function completes(piece: Piece): boolean {
  const { column, sign } = piece;
  if (column?.role === "stack") return ["=", "!=", "~", `:${HAS}=`, `:${LACKS}=`].includes(sign);
  return column?.role === "dimension" || column?.role === "identity";
}

/** The completions that need no question to the server. */
export function offered(context: Context, text: string): Offered {
  const columns = filterable(context);
  const piece = lastPiece(text, columns);
  if (piece.column) return aboutValues(piece, piece.column);
  return { title: "", offers: columnOffers(context, piece, columns), hint: SIGNS };
}

function aboutValues(piece: Piece, column: ColumnAnswer): Offered {
  if (!completes(piece)) {
    const hint = EXAMPLES[column.unit] ?? `${column.prettyname}: ${column.help || "a value"}`;
    return { title: "", offers: [], hint };
  }
  const title = `Values of ${typedName(column)} under the other filters, and their rows`;
  return { title, offers: [], hint: "" };
}

function columnOffers(context: Context, piece: Piece, columns: ColumnAnswer[]): Offer[] {
  const [, name = "", partial = ""] = /^(\w*)([!:~^<>=*]*)$/.exec(piece.word) ?? [];
  const exactly = columns.find((one) => typedName(one) === name || one.name === name);
  if (exactly && name) {
    const signs = signsOf(exactly).filter(([sign]) => sign.startsWith(partial));
    return signs.map(([sign, op]) => ({
      text: `${typedName(exactly)}${sign}`,
      note: `${exactly.prettyname} ${operatorWords(context, op)}`,
      typed: { text: `${piece.before}${typedName(exactly)}${sign}`, whole: false },
    }));
  }
  if (partial) return [];
  const wanted = name.toLowerCase();
  const fits = (one: ColumnAnswer) =>
    typedName(one).toLowerCase().includes(wanted) || one.prettyname.toLowerCase().includes(wanted);
  const starts = (one: ColumnAnswer) => Number(!typedName(one).toLowerCase().startsWith(wanted));
  const found = columns.filter((one) => signsOf(one).length && fits(one));
  found.sort((a, b) => starts(a) - starts(b));
  return found.slice(0, MOST).map((one) => {
    const signs = signsOf(one);
    const op = firstOperator(
      one.role,
      signs.map(([, each]) => each),
    );
    const text = `${typedName(one)}${signs.find(([, each]) => each === op)?.[0] ?? "="}`;
    return { text, note: one.prettyname, typed: { text: piece.before + text, whole: false } };
  });
}

/** The values of the last piece's column that hold what is typed of it, the most rows first. */
export async function valueOffers(
  context: Context,
  text: string,
  others: Filter[],
): Promise<Offer[]> {
  const columns = filterable(context);
  const piece = lastPiece(text, columns);
  const { column } = piece;
  const one = column && home(context, column);
  if (!column || !one || !completes(piece)) return [];
  const [list = "", begun = ""] = lastItem(piece);
  const query = valuesQuery(context, one, [
    ...others,
    ...parseTyped(piece.before, columns).filters,
  ]);
  query.push(["prefix", begun.replace(/^"|"$/g, "")], ["n", String(MOST)]);
  const { values } = await get<Values>(`api/v1/values/${one.table}/${column.name}`, query);
  const before = `${piece.before}${typedName(column)}${piece.sign}${list}`;
  return values.map(({ value, rows }) => ({
    text: value || '""',
    note: "",
    amount: exact(rows),
    typed: { text: before + quoted(value), whole: true },
  }));
}

/** Of a list the last item is being typed; what stands before it stays. */
function lastItem({ column, sign, value }: Piece): [string, string] {
  const lists = column?.role !== "stack" && /^!?=$/.test(sign);
  const [, list = "", item = value] = (lists && /^(.*,)([^,"]*)$/.exec(value)) || [];
  return [list, item];
}

/** On Home the values are those of the first data type that has the column. */
function home(context: Context, { name }: ColumnAnswer): CategoryAnswer | undefined {
  const has = (one: CategoryAnswer) => one.columns.some((each) => each.name === name);
  return category(context) ?? context.categories.find(has);
}

function valuesQuery(context: Context, one: CategoryAnswer, filters: Filter[]): Query {
  const { box } = context.store.state;
  const { from, to } = box ?? context.range;
  const known = filters.filter(({ column }) => one.columns.some(({ name }) => name === column));
  return [["from", iso(from)], ["to", iso(to)], ...queryOf(known)];
}
