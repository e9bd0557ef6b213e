// Home's lines: each data type with its total, its line over time, and what is on top of it.

import { toAddress, type State } from "../state/address";
import { columnsWith, type Context } from "../state/context";
import { h, type Child } from "../ui/dom";
import { atOnce, times } from "../ui/format";
import { roughly } from "../ui/spans";
import { statesOf, stateToken } from "../ui/states";
import { plain, short } from "../ui/text";
import type { Overview, Stretch, TableOverview } from "../../generated/types";
import { newest, stretch } from "./home_moment";
import { inPage, type Opening } from "./finding";
import { spark } from "./sparks";

/** The lines of the types with data. */
export function typeLines(
  context: Context,
  answer: Overview,
  tables: TableOverview[],
  opening: Opening,
): HTMLElement[] {
  return ordered(context, tables).map((one, k) => {
    const made = line(context, answer, one, opening);
    // The axis lies over the same rows, so they cannot be placed by themselves.
    made.style.gridRow = String(k + 2);
    return made;
  });
}

/** Where threads are comes first, types without a probe last; the order is always the same. */
function ordered({ categories }: Context, tables: TableOverview[]): TableOverview[] {
  const rank = ({ table }: TableOverview): number => {
    const one = categories.find((category) => category.table === table);
    if (columnsWith(one, "stack").length) return 0;
    return one?.has_probe ? 1 : 2;
  };
  return [...tables].sort((a, b) => rank(a) - rank(b) || (a.prettyname < b.prettyname ? -1 : 1));
}

function line(
  context: Context,
  answer: Overview,
  one: TableOverview,
  opening: Opening,
): HTMLElement {
  const { state } = context.store;
  const [first] = one.unusual;
  const address = toAddress(typeState(state, one.table, first));
  const link = inPage(address, one.prettyname, opening);
  link.className = "ty";
  link.draggable = false;
  const range = { from: answer.from, to: answer.to };
  const newest = one.last ?? answer.to;
  // Steps after the newest row are not empty: their rows have not come yet.
  const values = one.values.map((value, k) => ((answer.times[k] ?? 0) > newest ? null : value));
  const drawn = { ...one, values, times: answer.times, step: answer.step };
  return h(
    one.rows ? "div.type" : "div.type.quiet",
    h("div", link, h("small", { title: one.description }, one.description)),
    h("div.tot", ...total(one), ...says(context, answer, one)),
    one.rows ? spark(range, drawn) : h("div.spark"),
    h("div.on", ...onTop(context, one)),
  );
}

/** The state that opens a type: the range stays, and an unusual stretch is selected. */
export function typeState(
  state: State,
  table: string,
  stretch?: { from: number; to: number },
): State {
  const box = stretch && { column: "", from: stretch.from, to: stretch.to, low: null, high: null };
  const live = state.live && !box;
  return { ...state, table, box: box ?? state.box, panel: "", live };
}

/** The figure is loud, its unit is not. */
function total(one: TableOverview): Child[] {
  if (!one.rows) return [h("b", "none")];
  const [, figure = "", unit = ""] = /^([\d.,]+(?: [kMGT](?= ))?)(.*)$/.exec(one.now_text) ?? [];
  return figure ? [h("b", figure), unit] : [h("b", one.now_text)];
}

function says(context: Context, answer: Overview, one: TableOverview): Child[] {
  const lacking =
    one.inactive.length > 0 && h("small.lacking", `${one.inactive.join(", ")} does not apply`);
  const [first, ...more] = one.unusual;
  if (first) return [h("small.up", unusual(context, answer, first, more.length)), lacking];
  if (one.rows) return [h("small", "as usual"), lacking];
  const ago = one.last === null ? "" : `last ${roughly(answer.to - one.last)} ago`;
  return [h("small", ago), lacking];
}

function unusual(context: Context, answer: Overview, one: Stretch, more: number): string {
  const size = one.factor === null ? "new" : times(one.factor);
  const when = stretch(one.from, one.to, newest(answer), context.store.state.zone);
  const at = when.startsWith("since") ? when : `at ${when}`;
  return `▲ ${size} ${at}${more ? `, +${more}` : ""}`;
}

function onTop({ categories }: Context, one: TableOverview): Child[] {
  if (!one.on_top.length) return [h("span.q", "–")];
  const states = statesOf(categories.find(({ table }) => table === one.table));
  if (states.length) return parts(one, states);
  return one.on_top
    .slice(0, 3)
    .flatMap(({ name, share }, k): Child[] => [
      k > 0 && ", ",
      h(one.unusual.length ? "span.m.loud" : "span.m", { title: name }, short(plain(name), 80)),
      share > 0 && ` ${Math.round(share * 100)} %`,
    ]);
}

/** The states of a union as parts of one bar, each with its amount. */
function parts({ on_top, values }: TableOverview, states: string[]): Child[] {
  const mean = values.reduce((all, one) => all + one, 0) / Math.max(1, values.length);
  const bar = on_top.map(({ name, share }) => {
    const part = h("i");
    part.style.flexGrow = String(share);
    part.style.background = `var(${stateToken(name, states) || "--s0"})`;
    return part;
  });
  const texts = on_top.flatMap(({ name, share }, k): Child[] => [
    k > 0 && ", ",
    `${short(plain(name), 40)} `,
    h("span.m", atOnce(share * mean)),
  ]);
  return [h("div.states", { "aria-hidden": "true" }, ...bar), ...texts];
}
