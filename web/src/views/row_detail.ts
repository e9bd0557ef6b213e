// A row that is open in the list: its stack, its histogram, its values, and the ways on.

import { get, type Query } from "../api/client";
import { background } from "../flame/legend";
import { kindFill } from "../flame/colors";
import { grouping } from "../flame/flame_query";
import { frame } from "../flame/frames";
import { label } from "../flame/paint";
import { column, columnsWith, category, type Context } from "../state/context";
import { HAS, oneOf, withFilter } from "../state/filters";
import { button, h, replace } from "../ui/dom";
import { dateTime, quantity, trimmed } from "../ui/format";
import { icon, type Icon } from "../ui/icons";
import { svg } from "../ui/svg";
import { square } from "../ui/swatch";
import { plain, short } from "../ui/text";
import { tellingFrames } from "./row_words";
import type { ColumnAnswer, Rows } from "../../generated/types";

/** So much before and after a row is its moment, in microseconds. */
const AROUND = 10e6;

/** A row by the names of its columns. */
export type Named = Map<string, unknown>;

export class RowDetail {
  readonly element: HTMLElement;
  private readonly neighbours = h("div.neighbours");

  constructor(
    private readonly context: Context,
    private readonly row: Named,
    private readonly id: string,
  ) {
    this.element = h(
      "div.rowdetail",
      ...this.stacks(),
      ...this.histograms(),
      h("section", h("h4", "Row"), this.facts(), this.ways(), this.neighbours),
    );
    void this.look();
  }

  private columns(...roles: ColumnAnswer["role"][]): [ColumnAnswer, unknown][] {
    const known = columnsWith(category(this.context), ...roles);
    return known.flatMap((one): [ColumnAnswer, unknown][] => {
      const value = this.row.get(one.name);
      return value === null || value === undefined || value === "" ? [] : [[one, value]];
    });
  }

  private stacks(): HTMLElement[] {
    return this.columns("stack").map(([one, value]) => {
      const names = String(value).split(";").reverse();
      const [deepest] = tellingFrames(String(value));
      const lines = names.map((name) => {
        const tell = name === deepest ? "li.tell" : "li";
        const color = square(background(kindFill(frame(name).kind)));
        return h(tell, color, h("span", { title: name }, short(label(name), 200)));
      });
      return h("section", h("h4", `${one.prettyname}, where it was first`), h("ol", ...lines));
    });
  }

  private histograms(): HTMLElement[] {
    return this.columns("histogram").flatMap(([one, value]) => {
      const counts = Array.isArray(value) ? value.map(Number) : [];
      const all = counts.reduce((sum, count) => sum + count, 0);
      if (!all) return [];
      const title = `${one.prettyname}: ${all}`;
      return [h("section", h("h4", title), histogram(counts, one.unit))];
    });
  }

  private facts(): HTMLElement {
    const { zone } = this.context.store.state;
    const facts = [...this.row].flatMap(([name, value]): [string, string][] => {
      const known = column(this.context, name);
      if (!known || value === null || value === "" || Array.isArray(value)) return [];
      if (known.role === "stack") return [];
      if (known.storage === "time")
        return [[known.prettyname, dateTime(Number(value), zone, true)]];
      const text = known.role === "value" ? quantity(Number(value), known.unit) : String(value);
      return [[known.prettyname, plain(text)]];
    });
    const pairs = facts.flatMap(([term, text]) => [h("dt", term), h("dd", trimmed(text))]);
    return h("dl.values", ...pairs);
  }

  private get time(): number {
    return Number(this.row.get("time"));
  }

  /** The moment of the row, as a selection. */
  private get moment() {
    const [from, to] = [this.time - AROUND, this.time + AROUND];
    return { column: "", from, to, low: null, high: null };
  }

  private ways(): HTMLElement {
    const { context } = this;
    const { store } = context;
    const { filters } = store.state;
    const way = (name: Icon, text: string, run: () => void) => {
      const made = button("", run, { class: "plain" });
      made.append(icon(name), text);
      return made;
    };
    const [stack] = this.columns("stack");
    const [deepest] = stack ? tellingFrames(String(stack[1])) : [];
    const host = String(this.row.get("hostname") ?? "");
    const ofHost = withFilter(filters, oneOf("hostname", host, ["eq"]));
    const inGraph = () =>
      store.set({ view: "flame", box: this.moment, zoom: this.path(), opened: "", frame: "" });
    const onHosts = (column: string, value: string) => () =>
      store.set({
        view: "flame",
        group: "hostname",
        zoom: [],
        opened: "",
        filters: withFilter(filters, { column, op: HAS, value }),
      });
    return h(
      "div.ways",
      stack ? way("flame", "This stack in the flame graph", inGraph) : null,
      stack && deepest
        ? way("hosts", "The same on other hosts", onHosts(stack[0].name, deepest))
        : null,
      way("rows", `All rows of ${short(host, 40)}, ±10 s`, () =>
        store.set({ box: this.moment, filters: ofHost, opened: "" }),
      ),
    );
  }

  /** The way to the stack in the flame graph: its groups, then its frames. */
  private path(): string[] {
    const groups = grouping(this.context).split(",").filter(Boolean);
    const [stack] = this.columns("stack");
    const frames = stack ? String(stack[1]).split(";") : [];
    return [...groups.map((name) => String(this.row.get(name) ?? "")), ...frames];
  }

  /** The rows of the same host and process before and after it. */
  private async look(): Promise<void> {
    const { store } = this.context;
    const query: Query = [
      ["row", this.id],
      ["around", "1"],
    ];
    const answer = await get<Rows>(`api/v1/rows/${store.state.table}`, query).catch(() => null);
    if (!answer || answer.at === null) return;
    const at = answer.at;
    const places = answer.ids.map((id, k) => ({ id, time: Number(answer.rows[k][0]) }));
    const steps = [at - 1, at + 1].flatMap((k) => (places[k] ? [places[k]] : []));
    steps.sort((a, b) => a.time - b.time);
    const links = steps.map(({ id, time }) => {
      const earlier = time < this.time || (time === this.time && steps[0].id === id);
      const text = dateTime(time, store.state.zone).slice(11);
      const name = earlier ? "Earlier row" : "Later row";
      const made = button("", () => store.set({ opened: id }), { class: "plain", title: name });
      made.append(...(earlier ? [icon("previous"), text] : [text, icon("next")]));
      return made;
    });
    replace(this.neighbours, ...links);
  }
}

/** A bar for each power of two from the first count to the last, with its number. */
function histogram(counts: number[], unit: string): HTMLElement {
  const first = Math.max(0, counts.findIndex(Boolean) - 1);
  const shown = counts.slice(first);
  const most = Math.max(...shown);
  const [width, height] = [Math.max(shown.length, 8) * 36, 120];
  const bars = shown.flatMap((count, k) => {
    const tall = count ? Math.max(2, (height * count) / most) : 0;
    const middle = k * 36 + 18;
    const every = shown.length > 4 ? 2 : 1;
    const size = k % every ? "" : quantity(2 ** (first + k), unit);
    const number = svg("text", { x: middle, y: height - tall + 10, "text-anchor": "middle" });
    if (count) number.textContent = quantity(count, "");
    const below = svg("text", { x: middle, y: height + 30, "text-anchor": "middle" });
    below.textContent = size;
    return [
      svg("rect", {
        class: count === most ? "peak" : "",
        x: k * 36 + 1,
        y: height - tall + 14,
        width: 34,
        height: tall,
      }),
      number,
      below,
    ];
  });
  const attributes = { viewBox: `0 0 ${width} ${height + 36}`, role: "img", class: "histogram" };
  const made = svg("svg", { ...attributes, "aria-label": "Counts by size" }, ...bars);
  const box = h("div.histogrambox", made);
  made.style.maxWidth = `${width}px`;
  return box;
}
