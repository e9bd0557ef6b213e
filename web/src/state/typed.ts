// Filters as a person types them: `process=mysqld stack~ext4_ elapsed>5ms`, and words that are none.

import { HAS, LACKS, type Filter } from "./filters";
import type { ColumnAnswer } from "../../generated/types";

/** The longest first, so that `>=` is not `>` with a value that begins with `=`. */
const SIGNS: [string, string][] = [
  ["!~*", "not_regex"],
  ["~*", "regex"],
  ["!~", "not_contains"],
  ["~", "contains"],
  ["!^", "not_startswith"],
  ["^", "startswith"],
  [">=", "gte"],
  ["<=", "lte"],
  [">", "gt"],
  ["<", "lt"],
  ["!==", "ne"],
  ["==", "eq"],
  ["!=", "ne"],
  ["=", "eq"],
];
/** On stacks `=` is about one frame: a whole stack is too long to type. */
const OF_FRAMES: Record<string, string> = { "=": HAS, "!=": LACKS };
const LISTS: Record<string, string> = { eq: "in", ne: "not_in" };
const STARTS: Record<string, string> = { eq: "startswith", ne: "not_startswith" };
/** As `~*` writes it: without regard to upper and lower case. */
export const ANY_CASE = "(?i)";

export interface Typed {
  filters: Filter[];
  /** The rest: what frames are searched for. */
  words: string;
}

/** The last piece of a text, which is being typed. */
export interface Piece {
  /** The text before it. */
  before: string;
  /** The piece itself, when it names no column yet. */
  word: string;
  column: ColumnAnswer | null;
  sign: string;
  value: string;
}

/** The name of a column as it is typed: that which people see, if it is one word. */
export function typedName({ name, prettyname }: ColumnAnswer): string {
  return /^[A-Za-z_]\w*$/.test(prettyname) && !/^stack$/i.test(name)
    ? prettyname.toLowerCase()
    : name;
}

function named(columns: ColumnAnswer[], name: string): ColumnAnswer | null {
  const exact = columns.find((one) => one.name === name);
  return exact ?? columns.find((one) => typedName(one) === name.toLowerCase()) ?? null;
}

/** The signs that may be typed between a column and a value, each with its operator. */
export function signsOf(column: ColumnAnswer): [string, string][] {
  const meant = SIGNS.map(([sign]): [string, string] => [sign, operatorOf(column, sign)]);
  const taken = new Set<string>();
  const plain = meant.reverse().filter(([sign, op]) => {
    const fits = column.operators.includes(op) && !taken.has(op) && !/^!?==$/.test(sign);
    if (fits) taken.add(op);
    return fits;
  });
  const others = column.operators
    .filter((op) => !taken.has(op) && !["in", "not_in", "eq", "ne"].includes(op))
    .map((op): [string, string] => [`:${op}=`, op]);
  return [...plain, ...others];
}

function operatorOf({ role }: ColumnAnswer, sign: string): string {
  const frames = role === "stack" ? OF_FRAMES[sign] : undefined;
  return frames ?? SIGNS.find(([one]) => one === sign)?.[1] ?? sign.slice(1, -1);
}

const SIGN = /^(?::(\w+)=|!~\*|~\*|!~|~|!\^|\^|>=|<=|>|<|!==|==|!=|=)/;
const VALUE = /^(?:"(?:[^"\\]|\\.)*"?|[^\s"])*/;

/** One piece from the start of the text, and how long it is. */
function pieceAt(
  text: string,
  columns: ColumnAnswer[],
): Omit<Piece, "before"> & { length: number } {
  const name = /^[A-Za-z_]\w*/.exec(text)?.[0] ?? "";
  const column = name ? named(columns, name) : null;
  const sign = column ? (SIGN.exec(text.slice(name.length))?.[0] ?? "") : "";
  if (!column || !sign) {
    const word = /^\S*/.exec(text)?.[0] ?? "";
    return { word, column: null, sign: "", value: "", length: word.length };
  }
  const start = name.length + sign.length;
  const value = VALUE.exec(text.slice(start))?.[0] ?? "";
  return { word: "", column, sign, value, length: start + value.length };
}

export function parseTyped(text: string, columns: ColumnAnswer[]): Typed {
  const filters: Filter[] = [];
  const words: string[] = [];
  for (let rest = text.trim(); rest; rest = rest.trimStart()) {
    const { column, sign, value, word, length } = pieceAt(rest, columns);
    if (column) filters.push(filterOf(column, sign, value));
    else words.push(word);
    rest = rest.slice(length);
  }
  return { filters, words: words.join(" ") };
}

export function lastPiece(text: string, columns: ColumnAnswer[]): Piece {
  let at = 0;
  for (;;) {
    at += /^\s*/.exec(text.slice(at))?.[0].length ?? 0;
    const { length, ...piece } = pieceAt(text.slice(at), columns);
    if (at + length >= text.length) return { before: text.slice(0, at), ...piece };
    at += length;
  }
}

function filterOf(column: ColumnAnswer, sign: string, text: string): Filter {
  const op = operatorOf(column, sign);
  const one = (op: string, value: string): Filter => ({ column: column.name, op, value });
  if (/^!?~\*$/.test(sign)) return one(op, ANY_CASE + unquoted(text));
  if (sign.startsWith(":") || column.role === "stack" || !/^!?=$/.test(sign)) {
    return one(op, unquoted(text));
  }
  const items = listItems(text);
  if (items.length > 1) {
    const values = items.map(unquoted);
    const written = values.some((value) => /[,[\]]/.test(value))
      ? JSON.stringify(values)
      : values.join(",");
    return one(LISTS[op] ?? op, written);
  }
  const starts = STARTS[op];
  if (/^[^"*]+\*$/.test(text) && starts && column.operators.includes(starts)) {
    return one(starts, text.slice(0, -1));
  }
  return one(op, unquoted(text));
}

/** Commas within quotes are part of a value. */
function listItems(text: string): string[] {
  return text.match(/(?:"(?:[^"\\]|\\.)*"?|[^,"])+/g) ?? [text];
}

function unquoted(text: string): string {
  return text.replace(/"((?:[^"\\]|\\.)*)"?/g, (_, inside: string) =>
    inside.replace(/\\(.)/g, "$1"),
  );
}

/** Text that is read back as it is. */
export function quoted(text: string): string {
  return /^[^\s",*\\=~][^\s",*\\]*$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** The parts of a filter as it is typed. */
export interface Written {
  name: string;
  sign: string;
  value: string;
}

export function written(filter: Filter, column: ColumnAnswer | undefined): Written {
  const name = column ? typedName(column) : filter.column;
  const { op, value } = filter;
  const rest: Written = { name, sign: `:${op}=`, value: quoted(value) };
  if (!column) return { ...rest, sign: SIGNS.findLast(([, one]) => one === op)?.[0] ?? rest.sign };
  if (/regex$/.test(op) && value.startsWith(ANY_CASE)) {
    const sign = op === "regex" ? "~*" : "!~*";
    return { name, sign, value: quoted(value.slice(ANY_CASE.length)) };
  }
  const list = Object.keys(LISTS).find((one) => LISTS[one] === op);
  if (list && column.role !== "stack") {
    const values = listOf(value);
    if (values.length < 2) return rest;
    return { name, sign: list === "eq" ? "=" : "!=", value: values.map(quoted).join(",") };
  }
  const found = SIGNS.findLast(([sign]) => operatorOf(column, sign) === op && !sign.endsWith("*"));
  return found ? { ...rest, sign: found[0] } : rest;
}

export function writtenText(filter: Filter, column: ColumnAnswer | undefined): string {
  const { name, sign, value } = written(filter, column);
  return `${name}${sign}${value}`;
}

/** The values of a list as the API takes it: `a,b`, or a JSON array. */
function listOf(value: string): string[] {
  if (!value.startsWith("[")) return value.split(",");
  try {
    return (JSON.parse(value) as unknown[]).map(String);
  } catch {
    return [value];
  }
}
