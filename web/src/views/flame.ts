// The flame graph with what belongs to it: breadcrumb, switches, the table beside it.

import type { Query } from "../api/client";
import {
  category,
  column as columnNamed,
  stackColumn,
  valueColumn,
  type Context,
} from "../state/context";
import { copyText } from "../ui/copy";
import { Cover } from "../ui/cover";
import { afterFrame, button, h, perFrame, replace } from "../ui/dom";
import { HAS, LACKS, oneOf, withFilter } from "../state/filters";
import {
  colorByChange,
  colorByKind,
  colorByName,
  colorByValue,
  type Coloring,
} from "../flame/colors";
import { describe } from "../flame/describe";
import type { Picture } from "../flame/export";
import { OTHERS } from "../flame/frames";
import { FlameGraph } from "../flame/graph";
import { NameTable } from "../flame/names";
import { label } from "../flame/paint";
import { hasRest } from "../flame/rest";
import { collapsed, focused, inverted } from "../flame/transform";
import { drawnBy, exactPath, findPath, pathOf, total, wholes, type Tree } from "../flame/tree";
import { fileItems, pictureItems } from "./flame_file";
import { diffLegend, legend } from "../flame/legend";
import { menu, type MenuItem } from "../ui/popover";
import type { SearchBox } from "../flame/search";
import { Matches, type Whole } from "../flame/matches";
import { grouping, type Source } from "../flame/flame_query";
import { Switches } from "../flame/switches";
import { short } from "../ui/text";

/** What is drawn, and from what it was made. */
interface Drawn {
  source: Source;
  how: string;
  tree: Tree;
  /** What each graph draws: the tree, or its two sides. */
  trees: Tree[];
}

export class FlameView {
  readonly element: HTMLElement;
  /** The second is there only while two sides stand beside each other. */
  private readonly graphs: [FlameGraph, FlameGraph];
  private readonly halves: HTMLElement[];
  private readonly titles = [h("div", { class: "side" }), h("div", { class: "side" })];
  private readonly pair = h("div", { class: "pair" });
  private readonly table: NameTable;
  private readonly crumbs = h("nav", { class: "crumbs", "aria-label": "Zoom path" });
  private readonly switches: Switches;
  private readonly legend = h("div", { class: "legend" });
  private readonly over = new Cover();
  /** What fades while it does not show what was asked for. */
  readonly content: HTMLElement[];
  private readonly matches = new Matches();
  private source: Source | null = null;
  private drawn: Drawn | null = null;
  private coloring: Coloring = { palette: [], index: new Uint8Array() };
  private painted = "";
  private crumbed = "";
  private legended = "";
  private revealed = "";
  private swept: Uint8Array | null = null;
  /** The end of the path is what matters; measured when all else stands. */
  private readonly scrollCrumbs = perFrame(() => {
    this.crumbs.scrollLeft = this.crumbs.scrollWidth;
  });

  constructor(
    private readonly name: string,
    private readonly context: Context,
    private readonly search: SearchBox,
    private readonly exportQuery: () => Query,
  ) {
    const { store } = context;
    this.graphs = [this.makeGraph(name, 0), this.makeGraph(`${name}, after`, 1)];
    this.halves = this.graphs.map((graph, k) =>
      h("div", { class: "half" }, this.titles[k], graph.element),
    );
    this.table = new NameTable({
      order: (order) => store.set({ order }, "replace"),
      pick: (frame) => store.set({ frame: store.state.frame === frame ? "" : frame }, "replace"),
      menu: (frame, x, y) => {
        const items = this.nameItems(frame);
        if (items.length) menu(x, y, items, short(label(frame)));
      },
      marked: (frame) => frame === this.marked(),
    });
    this.switches = new Switches(context, (opener) => this.openExport(opener));
    this.pair.append(this.halves[0]);
    this.content = [this.pair, this.table.element];
    this.element = h(
      "div",
      { class: "flameview" },
      h("div", { class: "line" }, this.crumbs, this.switches.element),
      h(
        "div",
        { class: "split" },
        h("div", { class: "graph" }, this.pair, this.over.element, this.legend),
        this.table.element,
      ),
    );
  }

  private makeGraph(name: string, k: number): FlameGraph {
    return new FlameGraph(name, {
      zoom: (node, step) => this.zoomed(node, step, k),
      select: (node) => this.selected(node, k),
      menu: (node, x, y) => this.openMenu(node, x, y),
      describe: (node) => this.describe(node),
    });
  }

  /** What shares are of, whatever is focused or zoomed into. */
  private whole(): Whole {
    const { source } = this;
    const all = source ? wholes(source.tree) : [];
    return { all, compares: !!source?.scale, focused: this.context.store.state.focus !== "" };
  }

  private get tree(): Tree {
    return this.drawn!.tree;
  }

  /** Where a loader or an explanation lies, over the graph. */
  cover(...children: (Node | null)[]): void {
    this.over.cover(...children);
  }

  /** Drawn when the view is shown, which it may no longer be when an answer comes. */
  setSource(source: Source): void {
    this.source = source;
    this.update();
  }

  update(): void {
    if (this.quiet || !this.element.isConnected) return;
    const { state } = this.context.store;
    this.switches.update(!!this.source?.scale);
    if (!this.source) return;
    const before = this.drawn;
    const selected = before ? pathOf(before.tree, this.graphs[0].selected) : [];
    const drawn = this.derive(this.source);
    this.color(drawn);
    const { tree } = drawn;
    const zoom = findPath(tree, state.zoom);
    const newer = before?.how === drawn.how;
    const keep = newer && selected.length ? exactPath(tree, selected) : -1;
    drawn.trees.forEach((one, k) => {
      const { coloring } = this;
      const { flame } = state;
      this.graphs[k].show({ tree: one, coloring, flame, zoom, selected: keep, newer });
    });
    this.drawCrumbs(zoom);
    this.find(drawn);
    this.explainFocus(tree);
  }

  private derive(source: Source): Drawn {
    const { focus, collapse, leafFirst, sides } = this.context.store.state;
    const two = sides && !!source.scale;
    const how = JSON.stringify([source.of, focus, collapse, leafFirst, two, source.scale !== null]);
    if (source === this.drawn?.source && how === this.drawn.how) return this.drawn;
    let tree = source.tree;
    if (focus) tree = focused(tree, focus);
    if (collapse) tree = collapsed(tree);
    this.table.setTree(tree, source.unit, source.groups, source.scale, total(source.tree));
    if (leafFirst) tree = inverted(tree);
    const trees = two ? [drawnBy(tree, 1), drawnBy(tree, 2)] : [tree];
    this.pair.classList.toggle("two", two);
    this.nameSides(source);
    if (two) this.pair.append(this.halves[1]);
    else this.halves[1].remove();
    this.graphs[0].call(two ? `${this.name}, before` : this.name);
    this.drawn = { source, how, tree, trees };
    this.painted = "";
    this.crumbed = "";
    return this.drawn;
  }

  private nameSides({ sideNames }: Source): void {
    this.titles.forEach((title, k) => {
      const text = sideNames?.[k] ?? "";
      replace(title, h("strong", {}, k ? "After" : "Before"), ` ${text}`);
      title.title = text;
    });
  }

  private color({ tree, source }: Drawn): void {
    const { color, diffColor, leafFirst } = this.context.store.state;
    const painted = source.scale ? diffColor : color;
    if (painted === this.painted) return;
    this.painted = painted;
    const { scale, groups, groupNames } = source;
    if (scale) this.coloring = colorByChange(tree, scale, diffColor);
    else if (color === "value") this.coloring = colorByValue(tree);
    else if (color === "name") this.coloring = colorByName(tree);
    else this.coloring = colorByKind(tree, { levels: leafFirst ? 0 : groups, names: groupNames });
  }

  private drawLegend(searched: boolean): void {
    const { color, diffColor } = this.context.store.state;
    const rest = this.drawn !== null && hasRest(this.drawn.tree);
    const wanted = [!!this.source!.scale, color, diffColor, searched, rest].join(" ");
    if (wanted === this.legended) return;
    this.legended = wanted;
    const items = this.source!.scale
      ? diffLegend(diffColor, searched)
      : legend(color, searched, rest);
    replace(this.legend, ...items);
  }

  /** A focus stays while the data changes: a frame may have gone. */
  private explainFocus(tree: Tree): void {
    const { store } = this.context;
    const { focus } = store.state;
    if (!focus || total(tree) || !total(this.source!.tree)) {
      this.over.say(null);
      return;
    }
    const remove = button("Remove focus", () => store.set({ focus: "" }));
    const text = h("p", {}, `No stack here runs through ${short(label(focus))}.`);
    this.over.say(h("div", { class: "empty" }, text, remove));
  }

  private describe(node: number): string[] {
    const { source } = this;
    if (!source) return [];
    const { unit, scale } = source;
    const grouped = this.isGroup(node);
    const focused = this.context.store.state.focus !== "";
    return describe(this.tree, node, { unit, scale, grouped, all: wholes(source.tree), focused });
  }

  private isGroup(node: number): boolean {
    return this.source?.groupNames[this.tree.name[node] ?? -1] === 1;
  }

  private find({ tree }: Drawn): void {
    const { search, frame } = this.context.store.state;
    const { matches } = this;
    matches.find(tree, search);
    matches.tell(this.search, this.whole());
    this.swept = matches.hits ?? (frame ? matches.exactly(frame) : null);
    for (const graph of this.graphs) graph.highlight(this.swept);
    this.drawLegend(!!matches.hits);
    if (tree === this.listed) this.listLater();
    else this.list();
    this.listed = tree;
  }

  private listed: Tree | null = null;
  /** While someone types, the graph comes first: it is what the eye is on. */
  private readonly listLater = afterFrame(() => this.list());

  private list(): void {
    const { search, frame, order } = this.context.store.state;
    this.table.show(order, this.matches.hits, `${this.drawn!.how} ${search}`);
    if (frame && frame !== this.revealed) this.table.reveal(frame);
    this.revealed = frame;
  }

  /** Goes to the next match, the largest first. */
  next(direction: 1 | -1): void {
    const node = this.matches.next(direction);
    if (node < 0) return;
    this.graphs[0].zoomTo(node, true);
    this.matches.tell(this.search, this.whole());
  }

  private zoomed(node: number, step: boolean, k: number): void {
    const { store } = this.context;
    const zoom = pathOf(this.tree, node);
    if (this.drawn!.trees.length > 1) this.graphs[1 - k]!.follow(node);
    this.drawCrumbs(node);
    this.quiet = true;
    store.set({ zoom }, step ? "replace" : "push");
    this.quiet = false;
  }

  /** Set while the graph itself changes the zoom, which it has then drawn already. */
  private quiet = false;

  private selected(node: number, k: number): void {
    if (this.drawn!.trees.length > 1) this.graphs[1 - k]!.mark(node);
    this.picked = node;
    this.markRow();
  }

  private picked = 0;
  /** The graph first: it is what the eye is on. */
  private readonly markRow = afterFrame(() => {
    this.table.redraw();
    if (this.picked > 0 && this.picked < this.tree.n) {
      this.table.reveal(this.tree.names[this.tree.name[this.picked]]);
    }
  });

  private marked(): string {
    const node = this.graphs[0].selected;
    if (node > 0 && this.drawn) return this.tree.names[this.tree.name[node]];
    return this.context.store.state.frame;
  }

  private drawCrumbs(zoom: number): void {
    const { store } = this.context;
    const { tree } = this;
    const { focus } = store.state;
    const wanted = `${zoom} ${focus}`;
    if (wanted === this.crumbed) return;
    this.crumbed = wanted;
    const crumbs: Node[] = [];
    for (let i = zoom; i >= 0 && i < tree.n; i = tree.parent[i]) {
      const node = i;
      const text = short(label(tree.names[tree.name[i]]));
      crumbs.unshift(
        button(text, () => this.graphs[0].zoomTo(node), {
          "aria-current": i === zoom ? "true" : undefined,
          title: text,
        }),
      );
    }
    if (focus) {
      const clear = button("×", () => store.set({ focus: "" }), { "aria-label": "Remove focus" });
      clear.classList.add("x");
      crumbs.unshift(h("span", { class: "chip text" }, `focus ${short(label(focus))}`, clear));
    }
    replace(this.crumbs, ...crumbs);
    this.scrollCrumbs();
  }

  private openExport(opener: HTMLElement): void {
    const { table } = this.context.store.state;
    const pictures = this.drawn?.tree.n ? pictureItems(table, this.picture()) : [];
    const files = this.source?.scale ? [] : fileItems(table, this.exportQuery());
    const box = opener.getBoundingClientRect();
    menu(box.right - 170, box.bottom + 4, [...pictures, ...files], "Export", opener);
  }

  private picture(): Picture {
    const one = category(this.context);
    const value = columnNamed(this.context, valueColumn(this.context))?.prettyname ?? "Rows";
    return {
      tree: this.tree,
      coloring: this.coloring,
      hits: this.swept,
      zoom: this.graphs[0].zoomed,
      flame: this.context.store.state.flame,
      title: [one?.prettyname ?? "", value, ...this.parts()].join(" · "),
      describe: (node: number) => this.describe(node),
    };
  }

  /** What a picture shows of the whole, for somebody who sees it alone. */
  private parts(): string[] {
    const { focus } = this.context.store.state;
    const sides = this.source?.sideNames?.map((name, k) => `${k ? "after" : "before"}: ${name}`);
    return [...(sides ?? []), ...(focus ? [`only through ${short(label(focus))}`] : [])];
  }

  private openMenu(node: number, x: number, y: number): void {
    const { tree } = this;
    const name = tree.names[tree.name[node]];
    const zoom = { text: "Zoom in here", run: () => this.graphs[0].zoomTo(node) };
    const stack = pathOf(tree, node).join(";");
    const copy = { text: "Copy stack", run: () => void copyText(stack) };
    const items = node > 0 && name !== OTHERS ? this.nodeItems(node, name) : [];
    menu(x, y, [zoom, ...items, copy], short(label(name)));
  }

  private nodeItems(node: number, name: string): MenuItem[] {
    if (!this.isGroup(node)) return this.nameItems(name);
    const by = grouping(this.context).split(",").filter(Boolean);
    const level = this.context.store.state.leafFirst ? 0 : this.tree.level[node] - 1;
    const column = by.length === 1 || level >= 0 ? by[level] : undefined;
    if (!column || (this.context.store.state.leafFirst && by.length > 1)) return [];
    const { store } = this.context;
    const operators = columnNamed(this.context, column)?.operators ?? [];
    const only = oneOf(column, name, operators);
    const text = `Only ${short(label(name), 80) || "(empty)"}`;
    return [
      { text, run: () => store.set({ filters: withFilter(store.state.filters, only), zoom: [] }) },
    ];
  }

  private nameItems(name: string): MenuItem[] {
    const { store } = this.context;
    if (name === OTHERS) return [];
    const stack = stackColumn(this.context);
    return [
      {
        text: "Sandwich: callers and callees",
        run: () => store.set({ view: "sandwich", frame: name }),
      },
      {
        text: "Focus: only stacks through it",
        run: () => store.set({ focus: name, zoom: [] }),
      },
      { text: "Filter the rows by it", run: () => this.filter(stack, HAS, name) },
      { text: "Leave out the rows with it", run: () => this.filter(stack, LACKS, name) },
      {
        text: "Show in the table",
        run: () => store.set({ frame: name, search: "" }, "replace"),
      },
      {
        text: "Collapse recursion",
        checked: store.state.collapse,
        run: () => store.set({ collapse: !store.state.collapse, zoom: [] }),
      },
      { text: "Copy name", run: () => void copyText(label(name)) },
    ];
  }

  private filter(name: string, op: string, value: string): void {
    const { store } = this.context;
    const filters = withFilter(store.state.filters, { column: name, op, value });
    store.set({ filters, zoom: [] });
  }

  repaint(): void {
    for (const graph of this.graphs) graph.repaint();
  }
}
