// A host that is open in the list: its stacks against those of the hosts alike, and the ways on.

import { Loader } from "../api/loader";
import type { Query } from "../api/client";
import { colorBy } from "../flame/colors";
import { asideText, describe } from "../flame/describe";
import {
  comparedTree,
  flameQuery,
  measuredSides,
  sourceOf,
  type Source,
} from "../flame/flame_query";
import { FlameGraph } from "../flame/graph";
import { collapsed } from "../flame/transform";
import { wholes, type Tree } from "../flame/tree";
import { oneOf, type Filter } from "../state/filters";
import { bounds, filterQuery, type Context } from "../state/context";
import { iso } from "../state/ranges";
import { button, h } from "../ui/dom";
import { icon, type Icon } from "../ui/icons";
import type { Measure } from "../ui/rate";
import { changeWords, differences, factorWords } from "./host_words";
import type { Comparison, Host } from "../../generated/types";

/** More names would make an address too long; the comparison is then with all other hosts. */
const MOST_NAMED = 40;
const MOST_DIFFERENCES = 3;

/** The filter of the hosts that one is measured against. */
function othersFilter(host: Host, alike: Host[]): Filter {
  const names = alike.map((one) => one.host).filter((name) => name !== host.host);
  const named =
    names.length > 0 && names.length <= MOST_NAMED && !names.some((n) => /[,[]/.test(n));
  return named
    ? { column: "hostname", op: "in", value: names.join(",") }
    : { column: "hostname", op: "ne", value: host.host };
}

export class HostDetail {
  readonly element: HTMLElement;
  private readonly loader = new Loader("Comparing hosts");
  private readonly graph: FlameGraph;
  private source: Source | null = null;
  private tree: Tree | null = null;

  constructor(
    private readonly context: Context,
    private readonly host: Host,
    private readonly alike: Host[],
    measure: Measure,
  ) {
    this.graph = new FlameGraph(`${host.host} against the hosts alike`, {
      zoom: () => undefined,
      select: () => undefined,
      menu: () => undefined,
      describe: (node) => this.describe(node),
    });
    const names = alike.map((one) => one.host).filter((name) => name !== host.host);
    const against = names.length > 4 ? `${names.length} hosts alike` : names.join(", ");
    const title = names.length
      ? `${host.host} against ${against}`
      : `${host.host} against all others`;
    const picture = h("div.hostgraph", this.graph.element, this.loader.element);
    this.loader.over(this.graph.element);
    this.element = h(
      "div.hostdetail",
      h("section", h("h4", `${title}, by shares`), picture),
      h("section", h("h4", "Most of the difference"), this.list(measure)),
      h("section", h("h4", "From here"), this.ways()),
    );
  }

  private list(measure: Measure): HTMLElement {
    const found = differences(this.host).slice(0, MOST_DIFFERENCES);
    const lines = found.map((one) =>
      h(
        "li",
        h("code", one.frame),
        h("div", changeWords(one, measure), " ", toned(factorWords(one), one.heavier)),
      ),
    );
    return h("ul.differences", ...lines);
  }

  private ways(): HTMLElement {
    const { store } = this.context;
    const { host } = this.host;
    const way = (name: Icon, text: string, run: () => void) => {
      const made = button("", run, { class: "plain" });
      made.append(icon(name), text);
      return made;
    };
    const only = { filters: this.filters(oneOf("hostname", host, ["eq"])), zoom: [], opened: "" };
    return h(
      "div.ways",
      way("flame", `Flame graph of ${host}`, () => store.set({ ...only, view: "flame" })),
      way("compare", "Compare with the hosts alike", () =>
        store.set({
          ...only,
          view: "compare",
          "base.from": "same",
          "base.to": "",
          baseFilters: this.filters(othersFilter(this.host, this.alike)),
          relative: true,
          swap: false,
        }),
      ),
      way("rows", "Its rows", () => store.set({ ...only, view: "rows" })),
    );
  }

  /** The shown filters, with another one for the host. */
  private filters(host: Filter): Filter[] {
    const { filters } = this.context.store.state;
    return [...filters.filter(({ column }) => column !== "hostname"), host];
  }

  update(): void {
    const { context, host } = this;
    const { table } = context.store.state;
    const { from, to } = bounds(context, "box");
    const base: Query = [
      ["from", iso(from)],
      ["to", iso(to)],
      ["any", "hostname"],
      ...filterQuery(context, this.filters(othersFilter(host, this.alike))),
    ];
    const own = flameQuery(context).filter(([key]) => !key.startsWith("hostname"));
    const query: Query = [...own, ["hostname", host.host]];
    const both = [
      ...query,
      ...base.map(([key, value]): [string, string] => [`base.${key}`, value]),
    ];
    void this.loader.ask<Comparison>(`api/v1/compare/${table}`, both, (answer) => {
      this.show(answer);
    });
  }

  private show(answer: Comparison): void {
    const { context } = this;
    const measures = measuredSides(context, answer);
    const scale: [number, number] = [1 / (answer.base_total || 1), 1 / (answer.total || 1)];
    const compared = comparedTree(answer, false, scale);
    const sides = { scale, measures, names: ["alike", "here"] as [string, string], shares: true };
    const source = (this.source = sourceOf(context, measures[1], compared, sides));
    const tree = (this.tree = collapsed(source.tree));
    const coloring = colorBy(context.store.state.diffColor, tree, source, false);
    const aside = (node: number) =>
      source.groupNames[tree.name[node]] ? asideText(tree, node, measures[1], 2) : null;
    const [, before, after] = tree.sides;
    const added = Uint8Array.from(before.value, (was, i) => (!was && after.value[i] ? 1 : 0));
    this.graph.show({ tree, look: { coloring, aside, added }, flame: false, zoom: 0 });
  }

  private describe(node: number) {
    const { source, tree } = this;
    if (!source || !tree) return null;
    const { measure, sides, events } = source;
    return describe(tree, node, { measure, sides, events, all: wholes(tree) });
  }
}

function toned(text: string, heavier: boolean): HTMLElement {
  return h("span", { class: heavier ? "more" : "less" }, text);
}
