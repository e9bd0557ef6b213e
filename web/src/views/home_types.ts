// Home's lines: each data type with its total, its line over time, and what is on top of it.

import { toAddress, type State } from "../state/address";
import type { Context } from "../state/context";
import { h, type Child } from "../ui/dom";
import { times } from "../ui/format";
import { howLong } from "../ui/spans";
import { plain, short } from "../ui/text";
import type { Overview, Stretch, TableOverview } from "../../generated/types";
import { stretch } from "./home_moment";
import { inPage, type Opening } from "./finding";
import { spark } from "./sparks";

/** The lines of the types with data, in the order of the answer, which is fixed. */
export function typeLines(context: Context, answer: Overview, opening: Opening): HTMLElement[] {
  return withData(answer).map((one, k) => {
    const made = line(context, answer, one, opening);
    // The axis lies over the same rows, so they cannot be placed by themselves.
    made.style.gridRow = String(k + 2);
    return made;
  });
}

export function withData(answer: Overview): TableOverview[] {
  return answer.tables.filter(({ last }) => last !== null);
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
  const drawn = { ...one, times: answer.times, step: answer.step };
  return h(
    one.rows ? "div.type" : "div.type.quiet",
    h("div", link, h("small", { title: one.description }, one.description)),
    h("div.tot", ...total(one), ...says(context, answer, one)),
    one.rows ? spark(range, drawn) : h("div.spark"),
    h("div.on", ...onTop(one)),
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
  const ago = one.last === null ? "" : `last ${howLong(answer.to - one.last)} ago`;
  return [h("small", ago), lacking];
}

function unusual(context: Context, { to }: Overview, one: Stretch, more: number): string {
  const size = one.factor === null ? "new" : times(one.factor);
  const when = stretch(one.from, one.to, to, context.store.state.zone);
  const at = when.startsWith("since") ? when : `at ${when}`;
  return `▲ ${size} ${at}${more ? `, and ${more} more` : ""}`;
}

function onTop(one: TableOverview): Child[] {
  if (!one.on_top.length) return [h("span.q", "–")];
  return one.on_top
    .slice(0, 3)
    .flatMap(({ name, share }, k): Child[] => [
      k > 0 && ", ",
      h(one.unusual.length ? "span.m.loud" : "span.m", { title: name }, short(plain(name), 80)),
      share > 0 && ` ${Math.round(share * 100)} %`,
    ]);
}
