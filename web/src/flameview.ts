// The flame graph with what belongs to it: breadcrumb, switches, the table beside it.

import type { Query } from "./api";
import { category, chartOf, column, type Context } from "./context";
import { button, download, h, replace, select } from "./dom";
import { withFilter } from "./filters";
import {
  colorByChange,
  colorByKind,
  colorByName,
  colorByValue,
  type Coloring,
  type DiffColors,
} from "./flame/colors";
import { describe } from "./flame/describe";
import { png, svg } from "./flame/export";
import { FlameGraph } from "./flame/graph";
import { NameTable } from "./flame/names";
import { label } from "./flame/paint";
import { collapsed, focused, inverted } from "./flame/transform";
import { findPath, outermost, pathOf, sum, total, type Tree } from "./flame/tree";
import { percent } from "./format";
import { menu, type MenuItem } from "./popover";
import { compile, matchNames, type SearchBox } from "./search";
import { speedscopeAddress, flameAddress } from "./exports";
import { legend } from "./legend";

/** A tree as answered, before focus, inversion and the like. */
export interface Source {
  tree: Tree;
  unit: string;
  /** How many levels below the root are groups (a process) rather than frames. */
  groups: number;
  groupNames: Uint8Array;
  /** For a comparison: what its two sides are multiplied by to be compared. */
  scale: [number, number] | null;
}

interface Searched {
  tree: Tree;
  text: string;
  hits: Uint8Array | null;
  wrong: boolean;
}

export class FlameView {
  readonly element: HTMLElement;
  private readonly graph: FlameGraph;
  private readonly table: NameTable;
  private readonly crumbs = h("nav", { class: "crumbs", "aria-label": "Zoom path" });
  private readonly switches = h("div", { class: "switches" });
  private readonly legend = h("div", { class: "legend" });
  private readonly over = h("div", { class: "over" });
  private source: Source | null = null;
  private tree: Tree | null = null;
  private coloring: Coloring = { palette: [], index: new Uint8Array() };
  private derived = "";
  private painted = "";
  private matches: number[] = [];
  /** Which match was gone to last; kept while the tree and what is searched for stay the same. */
  private step = -1;
  private searched: Searched | null = null;
  private swept: Uint8Array | null = null;

  constructor(
    name: string,
    private readonly context: Context,
    private readonly search: SearchBox,
    private readonly exportQuery: () => Query,
  ) {
    const { store } = context;
    this.graph = new FlameGraph(name, {
      zoom: (node) => this.zoomed(node),
      select: (node) => this.selected(node),
      menu: (node, x, y) => this.openMenu(node, x, y),
      describe: (node) => this.describe(node),
    });
    this.table = new NameTable({
      order: (order) => store.set({ order }, "replace"),
      pick: (frame) => store.set({ frame: store.state.frame === frame ? "" : frame }, "replace"),
      menu: (frame, x, y) => menu(x, y, this.nameItems(frame), label(frame)),
      marked: (frame) => frame === this.marked(),
    });
    this.element = h(
      "div",
      { class: "flameview" },
      h("div", { class: "line" }, this.crumbs, this.switches),
      h(
        "div",
        { class: "split" },
        h("div", { class: "graph" }, this.graph.element, this.over, this.legend),
        this.table.element,
      ),
    );
  }

  /** Where a loader or an explanation lies, over the graph. */
  cover(...children: (Node | null)[]): void {
    replace(this.over, ...children);
  }

  setSource(source: Source): void {
    this.source = source;
    this.derived = "";
    this.painted = "";
    this.update();
  }

  update(): void {
    if (this.quiet) return;
    const { state } = this.context.store;
    this.drawSwitches();
    if (!this.source) return;
    const wanted = JSON.stringify([state.focus, state.collapse, state.leafFirst]);
    if (wanted !== this.derived) {
      this.derived = wanted;
      this.derive();
    }
    const painted = `${state.color} ${wanted}`;
    if (painted !== this.painted) {
      this.painted = painted;
      this.color();
    }
    const tree = this.tree!;
    const zoom = findPath(tree, state.zoom);
    this.graph.show(tree, this.coloring, state.flame, zoom);
    this.drawCrumbs(zoom);
    this.find();
  }

  private derive(): void {
    const { focus, collapse, leafFirst } = this.context.store.state;
    const { unit, groups, scale } = this.source!;
    let tree = this.source!.tree;
    if (focus) tree = focused(tree, focus);
    if (collapse) tree = collapsed(tree);
    this.table.setTree(tree, unit, groups, scale);
    this.tree = leafFirst ? inverted(tree) : tree;
  }

  private color(): void {
    const { state } = this.context.store;
    const { scale, groups, groupNames } = this.source!;
    const tree = this.tree!;
    if (scale) {
      const colors: DiffColors = state.color === "red-blue" ? "red-blue" : "red-green";
      this.coloring = colorByChange(tree, scale, colors);
    } else if (state.color === "value") this.coloring = colorByValue(tree);
    else if (state.color === "name") this.coloring = colorByName(tree);
    else
      this.coloring = colorByKind(tree, {
        levels: state.leafFirst ? 0 : groups,
        names: groupNames,
      });
    replace(this.legend, ...legend(scale ? "change" : state.color, state.color));
  }

  private describe(node: number): string[] {
    const { unit, scale, groups } = this.source!;
    const grouped = !this.context.store.state.leafFirst && this.tree!.level[node]! <= groups;
    return describe(this.tree!, node, { unit, scale, grouped });
  }

  private find(): void {
    const { search, frame, order } = this.context.store.state;
    const tree = this.tree!;
    if (this.searched?.tree !== tree || this.searched.text !== search) this.match(tree, search);
    const { hits } = this.searched!;
    this.sayFound();
    this.table.show(order, hits);
    this.swept = hits ?? (frame ? matchExactly(tree.names, frame) : null);
    this.graph.highlight(this.swept);
    if (frame) this.table.reveal(frame);
  }

  private match(tree: Tree, text: string): void {
    const expression = compile(text);
    const valid = expression instanceof RegExp;
    const hits = valid ? matchNames(tree.names, expression) : null;
    const value = tree.sides[0]!.value;
    this.matches = hits ? outermost(tree, (i) => i > 0 && hits[tree.name[i]!] === 1) : [];
    this.matches.sort((a, b) => value[b]! - value[a]!);
    this.step = -1;
    this.searched = { tree, text, hits, wrong: expression !== null && !valid };
  }

  private sayFound(): void {
    const { tree, hits, wrong } = this.searched!;
    if (wrong) this.search.say("not a regular expression", true);
    else if (!hits) this.search.say("");
    else if (this.step >= 0) this.search.say(`${this.step + 1} of ${this.matches.length}`);
    else this.search.say(`${percent(sum(tree, this.matches), total(tree))} matched`);
  }

  /** Goes to the next match, the largest first. */
  next(direction: 1 | -1): void {
    const count = this.matches.length;
    if (!count) return;
    this.step = (this.step + direction + count) % count;
    const node = this.matches[this.step]!;
    this.graph.zoomTo(node);
    this.sayFound();
  }

  private zoomed(node: number): void {
    const { store } = this.context;
    const zoom = pathOf(this.tree!, node);
    this.drawCrumbs(node);
    this.quiet = true;
    store.set({ zoom });
    this.quiet = false;
  }

  /** Set while the graph itself changes the zoom, which it has then drawn already. */
  private quiet = false;

  private selected(node: number): void {
    this.table.redraw();
    if (node > 0) this.table.reveal(this.tree!.names[this.tree!.name[node]!]!);
  }

  private marked(): string {
    const node = this.graph.selected;
    if (node > 0 && this.tree) return this.tree.names[this.tree.name[node]!]!;
    return this.context.store.state.frame;
  }

  private drawCrumbs(zoom: number): void {
    const { store } = this.context;
    const tree = this.tree!;
    const crumbs: Node[] = [];
    for (let i = zoom; i >= 0; i = tree.parent[i]!) {
      const node = i;
      const text = label(tree.names[tree.name[i]!]!);
      crumbs.unshift(
        button(text, () => this.graph.zoomTo(node), {
          "aria-current": i === zoom ? "true" : undefined,
          title: text,
        }),
      );
    }
    const { focus } = store.state;
    if (focus) {
      const clear = button("×", () => store.set({ focus: "" }), { "aria-label": "Remove focus" });
      clear.classList.add("x");
      crumbs.unshift(h("span", { class: "chip text" }, `focus ${label(focus)}`, clear));
    }
    replace(this.crumbs, ...crumbs);
    this.crumbs.scrollLeft = this.crumbs.scrollWidth;
  }

  private drawSwitches(): void {
    const { store } = this.context;
    const { state } = store;
    const toggle = (text: string, title: string, key: "leafFirst" | "flame" | "collapse") =>
      button(
        text,
        () => store.set({ [key]: !state[key], ...(key === "flame" ? {} : { zoom: [] }) }),
        {
          "aria-pressed": String(state[key]),
          title,
        },
      );
    const colors: [string, string][] = this.source?.scale
      ? [
          ["red-green", "red – green"],
          ["red-blue", "red – blue"],
        ]
      : [
          ["kind", "colour: kind"],
          ["value", "colour: self"],
          ["name", "colour: name"],
        ];
    const exporter = button("export ▾", () => this.openExport(exporter), {
      "aria-haspopup": "menu",
    });
    replace(
      this.switches,
      toggle("leaf first", "Turn the stacks round: what was on top comes first", "leafFirst"),
      toggle("grow upward", "Grow upward from the root, as flame graphs first did", "flame"),
      toggle("collapse recursion", "A frame that calls itself becomes one", "collapse"),
      select("Colours", colors, state.color, (color) => store.set({ color }, "replace")),
      exporter,
    );
  }

  private openExport(opener: HTMLElement): void {
    const { table } = this.context.store.state;
    const name = `${table}-flamegraph`;
    const items: MenuItem[] = [];
    if (this.tree?.n) {
      items.push(
        { text: "SVG", run: () => download(`${name}.svg`, svg(this.picture())) },
        { text: "PNG", run: () => void this.savePng(name) },
      );
    }
    if (!this.source?.scale) {
      const query = this.exportQuery();
      const save = (format: string) => () => location.assign(flameAddress(table, query, format));
      items.push(
        { text: "Folded stacks", run: save("folded") },
        { text: "pprof", run: save("pprof") },
        { text: "speedscope file", run: save("speedscope") },
        {
          text: "Open in speedscope",
          run: () => void window.open(speedscopeAddress(table, query), "_blank", "noopener"),
        },
      );
    }
    const box = opener.getBoundingClientRect();
    menu(box.right - 170, box.bottom + 4, items, "Export", () => opener.focus());
  }

  private picture() {
    const one = category(this.context);
    return {
      tree: this.tree!,
      coloring: this.coloring,
      flame: this.context.store.state.flame,
      title: `${one?.prettyname ?? ""} · ${column(this.context, chartOf(one, "flamegraph")?.value ?? "")?.prettyname ?? ""}`,
      describe: (node: number) => this.describe(node),
    };
  }

  private async savePng(name: string): Promise<void> {
    const blob = await png({
      tree: this.tree!,
      coloring: this.coloring,
      hits: this.swept,
      zoom: this.graph.zoomed,
      selected: -1,
      hovered: -1,
      flame: this.context.store.state.flame,
      background: "#ffffff",
      accent: "#000000",
    });
    if (blob) download(`${name}.png`, blob);
  }

  private openMenu(node: number, x: number, y: number): void {
    const tree = this.tree!;
    const name = tree.names[tree.name[node]!]!;
    const items: MenuItem[] = [{ text: "Zoom in here", run: () => this.graph.zoomTo(node) }];
    const { state } = this.context.store;
    const by = chartOf(category(this.context), "flamegraph")?.by;
    if (node > 0 && tree.level[node]! <= this.source!.groups && !state.leafFirst && by) {
      items.push({ text: `Only ${label(name)}`, run: () => this.filter(by, "eq", name) });
    } else if (node > 0) items.push(...this.nameItems(name));
    const stack = pathOf(tree, node).join(";");
    items.push({ text: "Copy stack", run: () => void navigator.clipboard.writeText(stack) });
    menu(x, y, items, label(name), () => this.graph.focus());
  }

  private nameItems(name: string): MenuItem[] {
    const { store } = this.context;
    const stack = chartOf(category(this.context), "flamegraph")?.stack ?? "stack";
    return [
      {
        text: "Sandwich: callers and callees",
        run: () => store.set({ view: "sandwich", frame: name }),
      },
      {
        text: "Focus: only stacks through it",
        run: () => store.set({ focus: name, zoom: [] }),
      },
      { text: "Filter the rows by it", run: () => this.filter(stack, "contains", name) },
      {
        text: "Show in the table",
        run: () => store.set({ frame: name, search: "" }, "replace"),
      },
      {
        text: "Collapse recursion",
        checked: store.state.collapse,
        run: () => store.set({ collapse: !store.state.collapse, zoom: [] }),
      },
      { text: "Copy name", run: () => void navigator.clipboard.writeText(label(name)) },
    ];
  }

  private filter(name: string, op: string, value: string): void {
    const { store } = this.context;
    const filters = withFilter(store.state.filters, { column: name, op, value });
    store.set({ filters, zoom: [] });
  }

  repaint(): void {
    this.graph.repaint();
  }
}

function matchExactly(names: string[], name: string): Uint8Array | null {
  const at = names.indexOf(name);
  if (at < 0) return null;
  const hits = new Uint8Array(names.length);
  hits[at] = 1;
  return hits;
}
