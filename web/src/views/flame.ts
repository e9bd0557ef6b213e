// The flame graph with what belongs to it: breadcrumb, switches, the table beside it.

import { category, column as columnNamed, valueColumn, type Context } from "../state/context";
import { copyText } from "../ui/copy";
import { Cover } from "../ui/cover";
import { afterFrame, button, h, perFrame, replace } from "../ui/dom";
import { oneOf, withFilter } from "../state/filters";
import { colorBy, type Coloring } from "../flame/colors";
import { describe } from "../flame/describe";
import type { Picture } from "../flame/export";
import { OTHERS } from "../flame/frames";
import { FlameGraph } from "../flame/graph";
import { NameTable } from "../flame/names";
import { label } from "../flame/paint";
import { collapsed, focused, inverted } from "../flame/transform";
import {
  drawnBy,
  EMPTY,
  exactPath,
  findPath,
  nameOf,
  pathOf,
  total,
  wholes,
  type Tree,
} from "../flame/tree";
import { fileItems, pictureItems } from "./flame_file";
import { frameItems } from "./frame_menu";
import { legend } from "../flame/legend";
import { memo } from "../ui/memo";
import { menu, type MenuItem } from "../ui/popover";
import type { SearchBox } from "../flame/search";
import { Matches, type Whole } from "../flame/matches";
import { flameQuery, grouping, type Source } from "../flame/flame_query";
import { Switches } from "../flame/switches";
import { short } from "../ui/text";

/** The drawing, and the steps from its source. */
interface Drawn {
  how: string;
  tree: Tree;
  /** The trees of each graph: one, or its two sides. */
  trees: Tree[];
}

export class FlameView {
  readonly element: HTMLElement;
  /** The second is there only while two sides stand beside each other. */
  private readonly graphs: [FlameGraph, FlameGraph];
  private readonly halves: HTMLElement[];
  private readonly titles = [h("div.side"), h("div.side")];
  private readonly pair = h("div.pair");
  private readonly table: NameTable;
  private readonly crumbs = h("nav.crumbs", { "aria-label": "Zoom path" });
  private readonly switches: Switches;
  readonly legend = h("div.legend");
  /** Where a loader or an explanation lies, over the graph. */
  readonly over = new Cover();
  /** The elements that fade until they show the current answer. */
  readonly content: HTMLElement[];
  private readonly matches = new Matches();
  private source: Source | null = null;
  private drawn: Drawn = { how: "", tree: EMPTY, trees: [EMPTY] };
  private coloring: Coloring = { palette: [], index: new Uint8Array() };
  /** Per name, 1 if a search or a selected name marks it. */
  private swept: Uint8Array | null = null;

  /** The end of the path is what matters; measured when all else stands. */
  private readonly scrollCrumbs = perFrame(() => {
    this.crumbs.scrollLeft = this.crumbs.scrollWidth;
  });

  constructor(
    private readonly name: string,
    private readonly context: Context,
    private readonly search: SearchBox,
  ) {
    const { store } = context;
    this.graphs = [this.makeGraph(name, 0), this.makeGraph(`${name}, after`, 1)];
    this.halves = this.graphs.map((graph, k) => h("div.half", this.titles[k], graph.element));
    this.table = new NameTable(store, {
      pick: (frame) => store.set({ frame: store.state.frame === frame ? "" : frame }, "replace"),
      menu: (frame, x, y) => {
        const items = this.nameItems(frame);
        if (items.length) menu([x, y], items, short(label(frame)));
      },
      marked: (frame) => frame === this.marked(),
    });
    this.switches = new Switches(context, (opener) => this.openExport(opener));
    this.pair.append(this.halves[0]);
    this.content = [this.pair, this.table.element];
    this.element = h(
      "div.flameview",
      h("div.split", h("div.graph", this.pair, this.over.element), this.table.element),
    );
  }

  get path(): HTMLElement {
    return this.crumbs;
  }

  get tools(): HTMLElement {
    return this.switches.element;
  }

  private makeGraph(name: string, k: number): FlameGraph {
    return new FlameGraph(name, {
      zoom: (node, step) => this.zoomed(node, step, k),
      select: (node) => this.selected(node, k),
      menu: (node, x, y) => this.openMenu(node, x, y),
      describe: (node) => this.describe(node),
    });
  }

  /** The whole to which shares refer, with or without focus and zoom. */
  private whole(): Whole {
    const { source } = this;
    const all = source ? wholes(source.tree) : [];
    return { all, compares: !!source?.scale, focused: this.context.store.state.focus !== "" };
  }

  /** Drawn when the view is shown, which it may no longer be when an answer comes. */
  setSource(source: Source): void {
    this.source = source;
    this.update();
  }

  update(): void {
    const { source } = this;
    if (this.quiet || !this.element.isConnected) return;
    const { state } = this.context.store;
    const { focus, collapse, leafFirst, sides, flame } = state;
    this.switches.update(!!source?.scale);
    if (!source) return;
    const before = this.drawn;
    const path = pathOf(before.tree, this.graphs[0].selected);
    const two = sides && !!source.scale;
    const drawn = this.derive(source, focus, collapse, leafFirst, two);
    const { how, tree, trees } = (this.drawn = drawn);
    const coloring = (this.coloring = this.color(this.colors, tree, source, leafFirst));
    const zoom = findPath(tree, state.zoom);
    const newer = before.how === how;
    const selected = newer && path.length ? exactPath(tree, path) : -1;
    trees.forEach((one, k) => {
      this.graphs[k].show({ tree: one, coloring, flame, zoom, selected, newer });
    });
    this.drawCrumbs(tree, zoom, focus);
    this.find(tree);
    this.explainFocus(source, tree, focus);
  }

  private readonly derive = memo(
    (source: Source, focus: string, collapse: boolean, leafFirst: boolean, two: boolean): Drawn => {
      const { of, unit, groups, scale } = source;
      let { tree } = source;
      if (focus) tree = focused(tree, focus);
      if (collapse) tree = collapsed(tree);
      this.table.setTree(tree, unit, groups, scale, total(source.tree));
      if (leafFirst) tree = inverted(tree);
      this.arrange(source, two);
      const how = JSON.stringify([of, focus, collapse, leafFirst, two, scale !== null]);
      return { how, tree, trees: two ? [drawnBy(tree, 1), drawnBy(tree, 2)] : [tree] };
    },
  );

  /** One graph, or two with the names of their sides. */
  private arrange({ sideNames }: Source, two: boolean): void {
    this.pair.classList.toggle("two", two);
    if (two) this.pair.append(this.halves[1]);
    else this.halves[1].remove();
    this.graphs[0].call(two ? `${this.name}, before` : this.name);
    this.titles.forEach((title, k) => {
      const text = sideNames?.[k] ?? "";
      replace(title, h("strong", k ? "After" : "Before"), ` ${text}`);
      title.title = text;
    });
  }

  /** The chosen colours: of a change, or of frames. */
  private get colors(): string {
    const { color, diffColor } = this.context.store.state;
    return this.source?.scale ? diffColor : color;
  }

  private readonly color = memo(colorBy);

  private readonly drawLegend = memo((colors: string, searched: boolean, tree: Tree) =>
    replace(this.legend, ...legend(colors, searched, tree)),
  );

  /** A focus stays while the data changes: a frame may have gone. */
  private explainFocus(source: Source, tree: Tree, focus: string): void {
    if (!focus || total(tree) || !total(source.tree)) return void this.over.say(null);
    const remove = button("Remove focus", () => this.context.store.set({ focus: "" }));
    const text = h("p", `No stack here runs through ${short(label(focus))}.`);
    void this.over.say(h("div.empty", text, remove));
  }

  private describe(node: number): string[] {
    const { source } = this;
    if (!source) return [];
    const { unit, scale } = source;
    const telling = { ...this.whole(), unit, scale, grouped: this.isGroup(node) };
    return describe(this.drawn.tree, node, telling);
  }

  private isGroup(node: number): boolean {
    return this.source?.groupNames[this.drawn.tree.name[node] ?? -1] === 1;
  }

  private find(tree: Tree): void {
    const { search, frame } = this.context.store.state;
    const { matches } = this;
    matches.find(tree, search);
    matches.tell(this.search, this.whole());
    this.swept = matches.hits ?? (frame ? matches.exactly(frame) : null);
    for (const graph of this.graphs) graph.highlight(this.swept);
    this.drawLegend(this.colors, !!matches.hits, tree);
    this.listNew(tree);
    this.listLater();
  }

  /** While someone types, the graph comes first: it is what the eye is on. */
  private readonly listLater = afterFrame(() => this.list());
  private readonly listNew = memo((_: Tree) => this.list());

  private list(): void {
    this.table.show(this.matches.hits, this.drawn.how);
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
    const zoom = pathOf(this.drawn.tree, node);
    if (this.drawn.trees.length > 1) this.graphs[1 - k].follow(node);
    this.drawCrumbs(this.drawn.tree, node, store.state.focus);
    this.quiet = true;
    store.set({ zoom }, step ? "replace" : "push");
    this.quiet = false;
  }

  /** Set while the graph itself changes the zoom, which it has then drawn already. */
  private quiet = false;

  private selected(node: number, k: number): void {
    if (this.drawn.trees.length > 1) this.graphs[1 - k].mark(node);
    this.picked = node;
    this.markRow();
  }

  private picked = 0;
  /** The graph first: it is what the eye is on. */
  private readonly markRow = afterFrame(() => {
    this.table.redraw();
    if (this.picked > 0 && this.picked < this.drawn.tree.n) {
      this.table.reveal(nameOf(this.drawn.tree, this.picked));
    }
  });

  private marked(): string {
    const node = this.graphs[0].selected;
    if (node > 0) return nameOf(this.drawn.tree, node);
    return this.context.store.state.frame;
  }

  private readonly drawCrumbs = memo((tree: Tree, zoom: number, focus: string) => {
    const { store } = this.context;
    const crumbs: Node[] = [];
    for (let i = zoom; i >= 0 && i < tree.n; i = tree.parent[i]) {
      const node = i;
      const text = short(label(nameOf(tree, i)));
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
      crumbs.unshift(h("span.chip.text", `focus ${short(label(focus))}`, clear));
    }
    replace(this.crumbs, ...crumbs);
    this.scrollCrumbs();
  });

  private openExport(opener: HTMLElement): void {
    const { table } = this.context.store.state;
    const pictures = this.drawn.tree.n ? pictureItems(table, this.picture()) : [];
    const files = this.source?.scale
      ? []
      : fileItems(this.context.exports, table, flameQuery(this.context));
    menu(opener, [...pictures, ...files], "Export");
  }

  /** The title names the part of the whole, for a reader of the picture alone. */
  private picture(): Picture {
    const { focus, flame } = this.context.store.state;
    const names = this.source?.sideNames ?? [];
    const sides = names.map((name, k) => `${k ? "after" : "before"}: ${name}`);
    const through = focus ? [`only through ${short(label(focus))}`] : [];
    const one = category(this.context);
    const value = columnNamed(this.context, valueColumn(this.context))?.prettyname ?? "Rows";
    return {
      tree: this.drawn.tree,
      coloring: this.coloring,
      hits: this.swept,
      zoom: this.graphs[0].zoomed,
      flame,
      title: [one?.prettyname ?? "", value, ...sides, ...through].join(" · "),
      describe: (node: number) => this.describe(node),
    };
  }

  private openMenu(node: number, x: number, y: number): void {
    const { tree } = this.drawn;
    const name = nameOf(tree, node);
    const zoom = { text: "Zoom in here", run: () => this.graphs[0].zoomTo(node) };
    const stack = pathOf(tree, node).join(";");
    const copy = { text: "Copy stack", run: () => void copyText(stack) };
    const items = node > 0 && name !== OTHERS ? this.nodeItems(node, name) : [];
    menu([x, y], [zoom, ...items, copy], short(label(name)));
  }

  private nodeItems(node: number, name: string): MenuItem[] {
    if (!this.isGroup(node)) return this.nameItems(name);
    const by = grouping(this.context).split(",").filter(Boolean);
    const { store } = this.context;
    const { leafFirst } = store.state;
    const column = by[leafFirst ? 0 : this.drawn.tree.level[node] - 1];
    if (!column || (leafFirst && by.length > 1)) return [];
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
    const sandwich = () => store.set({ view: "sandwich", frame: name });
    const show = () => store.set({ frame: name, search: "" }, "replace");
    const { collapse } = store.state;
    const more = [
      { text: "Show in the table", run: show },
      {
        text: "Collapse recursion",
        checked: collapse,
        run: () => store.set({ collapse: !collapse, zoom: [] }),
      },
    ];
    return [
      { text: "Sandwich: callers and callees", run: sandwich },
      ...frameItems(this.context, name, more),
    ];
  }
}
