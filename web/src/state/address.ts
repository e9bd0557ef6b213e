// The state of the page. It is kept in the address, so a link shows another person the same thing.

import { afterFrame } from "../ui/dom";
import type { Zone } from "../ui/format";
import { inCalendar } from "./ranges";
import { parseFilter, filterText, type Filter } from "./filters";

export const VIEWS = ["flame", "sandwich", "compare", "hosts", "charts", "rows"] as const;
export type View = (typeof VIEWS)[number];

export type Panel = "" | "changes";

/** The other side of "What changed here?": "" is the time before. */
export const BASELINES = ["", "day", "week", "hosts", "range"] as const;
export type Baseline = (typeof BASELINES)[number];

export type Weigh = "" | "events";

/** Colours of a comparison. */
export type DiffColors = "red-green" | "red-blue";

/**
 * The selection: a time range; on the heatmap also a range of a column's values, which are null
 * for time alone.
 */
export interface Box {
  column: string;
  from: number;
  to: number;
  low: number | null;
  high: number | null;
}

/** The same times, of any data type: values are of the column that they were selected on. */
export function timeAlone(box: Box | null): Box | null {
  return box && { column: "", from: box.from, to: box.to, low: null, high: null };
}

/** The state of the page under an address without entries. */
export const INITIAL = {
  /** The data type; "" is Home. */
  table: "",
  from: "now-1h",
  to: "now",
  filters: [] as Filter[],
  /** Which presets hide rows: "" the default ones, "-" none, else names joined by `;`. */
  presets: "",
  box: null as Box | null,
  /** The panel beside the graph, which asks about the time of the box, or else of the range. */
  panel: "" as Panel,
  baseline: "" as Baseline,
  view: "flame" as View,
  /** The stack column and the value column; "" as declared. */
  stack: "",
  value: "",
  by: "",
  /** The heatmap's colour stands for: "" the time spent, where that is known; else events. */
  weigh: "" as Weigh,
  /** The grouping of the flame graph's stacks: "" as declared, "-" by nothing. */
  group: "",
  search: "",
  zoom: [] as string[],
  /** The zooms of the sandwich's halves. */
  callers: [] as string[],
  callees: [] as string[],
  focus: "",
  frame: "",
  leafFirst: false,
  flame: false,
  collapse: false,
  color: "kind",
  diffColor: "red-blue" as DiffColors,
  /** How frames, hosts and rows are sorted: a column, with `-` from the largest. */
  order: "-total",
  hostsOrder: "-distance",
  /** The host or the row that is open in its list. */
  opened: "",
  rowsOrder: "-time",
  live: false,
  zone: "utc" as Zone,
  /**
   * The other side of a comparison. `base.from` is a moment, or how the shown range is moved: ""
   * back by its own length, "same", "-1d", "-7d". Without its own filters it has the shown ones.
   */
  "base.from": "",
  "base.to": "",
  baseFilters: null as Filter[] | null,
  /** Shares of the wholes are compared rather than amounts. */
  relative: false,
  swap: false,
  /** The two sides beside each other rather than as one tree. */
  sides: false,
};

export type State = typeof INITIAL;

/** The parts of the state that another stack column resets. */
export const NO_FRAMES = { zoom: [], callers: [], callees: [], focus: "", frame: "" };

/** Entries of the address by their type; filters and box have their own form. */
const TEXTS = keysOf("string");
const FLAGS = keysOf("boolean");
const PATHS = ["zoom", "callers", "callees"] as const;

function keysOf(type: string): string[] {
  return Object.entries(INITIAL).flatMap(([key, value]) => (typeof value === type ? [key] : []));
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/%(3A|3D|2C|3B|2F|40)/g, decodeURIComponent);
}

/** Names joined by the `;` that stands between frames; a process may have one in its name. */
function pathText(path: string[]): string {
  return path.map((name) => name.replace(/[%;]/g, encodeURIComponent)).join(";");
}

function pathFrom(text: string | null): string[] {
  if (!text) return [];
  return text.split(";").map((name) => name.replace(/%(25|3B)/g, decodeURIComponent));
}

/** Only what differs from the start, so that a fresh page has a short address. */
export function toAddress(state: State): string {
  const pairs: [string, string][] = [];
  const all = state as unknown as Record<string, unknown>;
  const initial = INITIAL as unknown as Record<string, unknown>;
  for (const key of TEXTS) {
    if (all[key] !== initial[key]) pairs.push([key, all[key] as string]);
  }
  for (const filter of state.filters) pairs.push(["filter", filterText(filter)]);
  for (const key of PATHS) {
    const path = all[key] as string[];
    if (path.length) pairs.push([key, pathText(path)]);
  }
  if (state.box) {
    const { column, from, to, low, high } = state.box;
    const parts = low === null ? [column, from, to] : [column, from, to, low, high];
    pairs.push(["box", parts.join(",")]);
  }
  for (const key of FLAGS) {
    if (all[key] !== initial[key]) pairs.push([key, all[key] ? "1" : "0"]);
  }
  const { baseFilters } = state;
  if (baseFilters?.length === 0) pairs.push(["base.filter", ""]);
  for (const filter of baseFilters ?? []) pairs.push(["base.filter", filterText(filter)]);
  const query = pairs.map(([key, value]) => `${key}=${encode(value)}`).join("&");
  return query ? `./?${query}` : "./";
}

/**
 * Three parts are time alone. Links that were made before a box named its column have four, and mean
 * that of the declared heatmap.
 */
function boxOf(text: string | null): Box | null {
  const parts = (text ?? "").split(",");
  const [column, ...bounds] = parts.length === 4 ? ["", ...parts] : parts;
  const numbers = bounds.map(Number);
  if (![2, 4].includes(numbers.length) || !numbers.every(Number.isFinite)) return null;
  const [from = 0, to = 0, low = null, high = null] = numbers;
  if (!inCalendar(from) || !inCalendar(to)) return null;
  return { column: column ?? "", from, to, low, high };
}

/** A question takes so many filters, as docs/questions.md says. */
export const MOST_FILTERS = 200;
/** Servers refuse much shorter ones; what comes after it is not read. */
const MOST_ADDRESS = 300_000;
/** More than any frame or stack has: what is longer was not written by this page. */
const MOST_TEXT = 70_000;
const MOST_FRAMES = 5_000;

/** Bounded, whatever the address holds; `tooMany` says what of it was left out. */
export function fromAddress(search: string): State {
  const query = new URLSearchParams(search.slice(0, MOST_ADDRESS));
  const state: Record<string, unknown> = { ...INITIAL };
  for (const key of TEXTS) state[key] = query.get(key)?.slice(0, MOST_TEXT) ?? state[key];
  for (const key of FLAGS) if (query.has(key)) state[key] = query.get(key) === "1";
  if (!VIEWS.includes(state["view"] as View)) state["view"] = INITIAL.view;
  if (state["zone"] !== "local") state["zone"] = INITIAL.zone;
  if (state["weigh"] !== "events") state["weigh"] = INITIAL.weigh;
  if (state["panel"] !== "changes") state["panel"] = INITIAL.panel;
  if (!BASELINES.includes(state["baseline"] as Baseline)) state["baseline"] = INITIAL.baseline;
  state["filters"] = filtersOf(query, "filter");
  for (const key of PATHS) state[key] = pathFrom(query.get(key)).slice(0, MOST_FRAMES);
  state["box"] = boxOf(query.get("box"));
  state["baseFilters"] = query.has("base.filter") ? filtersOf(query, "base.filter") : null;
  return state as unknown as State;
}

function filtersOf(query: URLSearchParams, key: string): Filter[] {
  return query.getAll(key).filter(Boolean).slice(0, MOST_FILTERS).map(parseFilter);
}

/** How many filters an address has that are left out. */
export function tooMany(search: string): number {
  const counts = [/[?&]filter=[^&]/g, /[?&]base\.filter=[^&]/g].map(
    (key) => search.match(key)?.length ?? 0,
  );
  return counts.reduce((all, count) => all + Math.max(0, count - MOST_FILTERS), 0);
}

/** From here on servers and proxies may refuse an address for its length. */
const LONG = 8_000;

/** Packs an address in the browser's bar, if it is still there by then. */
async function shortened(address: string): Promise<void> {
  const packed = await packedAddress(address);
  if (shownAddress() === address) history.replaceState(null, "", packed);
}

export async function packedAddress(address: string): Promise<string> {
  const { compressed } = await import("../ui/compressed");
  return `./?z=${await compressed(address.slice("./?".length))}`;
}

/** The browser's, as `toAddress` writes it. */
function shownAddress(): string {
  return `./${location.search}`;
}

/** The entries of an address, unpacked if they are packed; null if they cannot be. */
export async function inFull(search: string): Promise<string | null> {
  const packed = /^\?z=([\w-]*)$/.exec(search.slice(0, MOST_ADDRESS))?.[1];
  if (packed === undefined) return search;
  const { expanded } = await import("../ui/compressed");
  const text = await expanded(packed, MOST_ADDRESS);
  return text === null ? null : `?${text}`;
}

/** The state. Steps that a person would want to go back from are pushed. */
export class Store {
  /** Follows the state; it is called with the one before. */
  changed: (before: State) => void = () => undefined;
  /** To write the address takes a browser as long as to draw: it comes after the picture. */
  private unwritten: { address: string; push: boolean } | null = null;
  private readonly write = afterFrame(() => this.writeNow());
  state: State;

  /** `search` is the address's, in full. */
  constructor(search: string) {
    this.state = fromAddress(search);
    window.addEventListener("popstate", () => {
      this.unwritten = null;
      void inFull(location.search).then((now) => this.apply(fromAddress(now ?? "")));
    });
    window.addEventListener("pagehide", () => this.writeNow());
  }

  set(change: Partial<State>, history: "push" | "replace" = "push"): void {
    const next = { ...this.state, ...change };
    const push = history === "push";
    if (push) this.writeNow(); // the state to go back to
    this.unwritten = { address: toAddress(next), push: push || !!this.unwritten?.push };
    this.write();
    this.apply(next);
  }

  private writeNow(): void {
    const { unwritten } = this;
    this.unwritten = null;
    if (!unwritten || unwritten.address === shownAddress()) return;
    if (unwritten.address.length > MOST_ADDRESS) return;
    window.history[unwritten.push ? "pushState" : "replaceState"](null, "", unwritten.address);
    if (unwritten.address.length > LONG) void shortened(unwritten.address);
  }

  private apply(next: State): void {
    const before = this.state;
    this.state = next;
    this.changed(before);
  }
}
