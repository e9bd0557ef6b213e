// The flame graph with what belongs to it: breadcrumb, switches, the table beside it.

import { category, column as columnNamed, valueColumn, type Context } from "../state/context";
import { Cover } from "../ui/cover";
import { afterFrame, button, debounce, h, perFrame, replace } from "../ui/dom";
import { colorBy, type Coloring } from "../flame/colors";
import { asideText, cardLines, describe, type Card } from "../flame/describe";
import type { Picture } from "../flame/export";
import { OTHERS } from "../flame/frames";
import { FlameGraph } from "../flame/graph";
import { NameTable, type Compared } from "../flame/names";
import { label, type Look } from "../flame/paint";
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
import { isLetter } from "./letters";
import { HiddenAmount } from "./hidden";
import { legend } from "../flame/legend";
import { memo } from "../ui/memo";
import type { SearchBox } from "../flame/search";
import { Matches, type Whole } from "../flame/matches";
import type { Source } from "../flame/flame_query";
import { Switches } from "../flame/switches";
import { bare, told } from "../ui/rate";
import { short } from "../ui/text";

/** Between the picture of a zoom and the sums of what is left, in milliseconds. */
const REST = 120;

/** The drawing, and the steps from its source. */
interface Drawn {
  how: string;
  tree: Tree;
  /** The same from the root on, whatever the direction: sums per frame are of this one. */
  upright: Tree;
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
  private readonly folded = h("div.folded");
  private readonly table: NameTable;
  private readonly crumbs = h("nav.crumbs", { "aria-label": "Zoom path" });
  private readonly hidden: HiddenAmount;
  private readonly where: HTMLElement;
  private readonly switches: Switches;
  readonly legend = h("div.legend");
  /** Where a loader or an explanation lies, over the graph. */
  readonly over = new Cover();
  /** The elements that fade until they show the current answer. */
  readonly content: HTMLElement[];
  private readonly matches = new Matches();
  private source: Source | null = null;
  private drawn: Drawn = { how: "", tree: EMPTY, upright: EMPTY, trees: [EMPTY] };
  private looks: Look[] = [];
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
    compared: Compared | null = null,
  ) {
    const { store } = context;
    this.graphs = [this.makeGraph(name, 0), this.makeGraph(`${name}, after`, 1)];
    this.halves = this.graphs.map((graph, k) => h("div.half", this.titles[k], graph.element));
    const events = {
      pick: (frame: string) =>
        store.set({ frame: store.state.frame === frame ? "" : frame }, "replace"),
      menu: (frame: string, x: number, y: number) => {
        void import("./flame_menu").then((menu) => menu.ofName(context, [x, y], frame));
      },
      marked: (frame: string) => frame === this.marked(),
    };
    this.table = new NameTable(store, events, compared);
    this.hidden = new HiddenAmount(context);
    this.where = h("div.where", this.crumbs, this.hidden.element);
    this.switches = new Switches(context, (opener) => this.openExport(opener));
    this.pair.append(this.halves[0]);
    this.content = [this.pair, this.table.element];
    this.element = h(
      "div.flameview",
      h(
        "div.split",
        h("div.graph", h("div.beside-idle", this.pair, this.folded), this.over.element),
        this.table.element,
      ),
    );
  }

  get path(): HTMLElement {
    return this.where;
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
      letter: (node, letter) => this.letter(node, letter),
    });
  }

  private letter(node: number, letter: string): boolean {
    const name = nameOf(this.drawn.tree, node);
    if (node <= 0 || name === OTHERS || this.isGroup(node)) return false;
    if (!isLetter(letter)) return false;
    void import("./frame_menu").then((menu) => menu.act(this.context, name, letter));
    return true;
  }

  /** The whole to which shares refer, with or without focus and zoom. */
  private whole(): Whole {
    const { source } = this;
    const all = source ? wholes(source.tree) : [];
    return { all, compares: !!source?.sides, focused: this.context.store.state.focus !== "" };
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
    this.switches.update(!!source?.sides || state.view === "compare");
    if (!source) return;
    this.hidden.update(source.sides ? null : total(source.tree));
    const before = this.drawn;
    const path = pathOf(before.tree, this.graphs[0].selected);
    const two = sides && !!source.sides;
    if ((focus || collapse || leafFirst) && !this.transform) return void this.loadTransform();
    const drawn = this.derive(source, focus, collapse, leafFirst, two);
    const { how, tree, trees } = (this.drawn = drawn);
    const coloring = this.color(this.colors, tree, source, leafFirst);
    this.looks = trees.map((_, k) => this.look(source, tree, coloring, two ? k + 1 : 0));
    const zoom = findPath(tree, state.zoom);
    const newer = before.how === how;
    const selected = newer && path.length ? exactPath(tree, path) : -1;
    trees.forEach((one, k) => {
      this.graphs[k].show({ tree: one, look: this.looks[k], flame, zoom, selected, newer });
    });
    this.drawIdle(source);
    this.drawCrumbs(tree, zoom, focus);
    this.find(tree);
    this.explainFocus(source, tree, focus);
  }

  /** Null until another tree than the answer's is asked for. */
  private transform: typeof import("../flame/transform") | null = null;

  private async loadTransform(): Promise<void> {
    this.transform = await import("../flame/transform");
    this.update();
  }

  private readonly derive = memo(
    (source: Source, focus: string, collapse: boolean, leafFirst: boolean, two: boolean): Drawn => {
      const { of, sides } = source;
      let { tree } = source;
      const { transform } = this;
      if (focus && transform) tree = transform.focused(tree, focus);
      if (collapse && transform) tree = transform.collapsed(tree);
      const upright = tree;
      if (leafFirst && transform) tree = transform.inverted(tree);
      this.arrange(source, two);
      const how = JSON.stringify([of, focus, collapse, leafFirst, two, sides !== null]);
      return { how, tree, upright, trees: two ? [drawnBy(tree, 1), drawnBy(tree, 2)] : [tree] };
    },
  );

  /** The fills and texts of a graph, of one side or, if that is 0, of the whole tree. */
  private look(source: Source, tree: Tree, coloring: Coloring, side: number): Look {
    const { sides, measure } = source;
    const added = sides ? this.added(tree) : null;
    // Of both sides as one, the second is what is shown now.
    const of = sides ? side || 2 : 0;
    const own = sides?.measures[of - 1] ?? measure;
    const aside = (node: number) =>
      node && !this.isGroup(node) ? null : asideText(tree, node, own, of);
    return { coloring, aside, added };
  }

  private readonly added = memo(newIn);

  /** Idle time is folded to a column that keeps its amount; a click unfolds it. */
  private readonly drawIdle = memo(({ states, hidden, measure }: Source) => {
    const shows = states.length > 0 && hidden > 0;
    const unfold = () => this.context.store.set({ presets: "-" });
    const title = `${told(hidden, measure)} idle: a click unfolds it`;
    const column = button("", unfold, { title, "aria-label": title, class: "idle" });
    column.append(h("b", "idle"), h("span.number", bare(hidden, measure)));
    replace(this.folded, shows && column);
  });

  /** One graph, or two with the names of their sides. */
  private arrange({ sides }: Source, two: boolean): void {
    this.pair.classList.toggle("two", two);
    if (two) this.pair.append(this.halves[1]);
    else this.halves[1].remove();
    this.graphs[0].call(two ? `${this.name}, before` : this.name);
    this.titles.forEach((title, k) => {
      const text = sides?.names[k] ?? "";
      replace(title, h("strong", k ? "B" : "A"), ` ${text}`);
      title.title = text;
    });
  }

  /** The chosen colours: of a change, or of frames. */
  private get colors(): string {
    const { color, diffColor } = this.context.store.state;
    return this.source?.sides ? diffColor : color;
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

  private describe(node: number): Card | null {
    const { source } = this;
    if (!source) return null;
    const { measure, sides, events } = source;
    const telling = { ...this.whole(), measure, sides, events, grouped: this.isGroup(node) };
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
    this.listLater();
  }

  /** The graph comes first: it is what the eye is on. While someone zooms, the table can wait. */
  private readonly listLater = afterFrame(() => this.list());
  private readonly listRested = debounce(REST, () => this.list());
  private readonly listSoon = afterFrame(() => this.listRested());

  /** The part of the tree that is zoomed into; leaf first the whole, whose frames are the same. */
  private list(): void {
    const { source } = this;
    const { how, tree, upright } = this.drawn;
    if (!source || !upright.n) return;
    const { zoom } = this.context.store.state;
    const root = tree === upright ? findPath(upright, zoom) : 0;
    this.table.show(
      { source, tree: upright, root, all: total(source.tree) },
      this.matches.hits,
      how,
    );
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
    this.listSoon();
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
    const { context, source, drawn } = this;
    void import("./flame_file").then(({ exportMenu }) => {
      const picture = drawn.tree.n && source ? this.picture(source) : null;
      exportMenu(opener, context, source, picture, this.table.rows);
    });
  }

  /** The title names the part of the whole, for a reader of the picture alone. */
  private picture(source: Source): Picture {
    const { tree } = this.drawn;
    const { focus, flame } = this.context.store.state;
    const names = this.source?.sides?.names ?? [];
    const sides = names.map((name, k) => `${"AB"[k]}: ${name}`);
    const through = focus ? [`only through ${short(label(focus))}`] : [];
    const one = category(this.context);
    const value = columnNamed(this.context, valueColumn(this.context))?.prettyname ?? "Rows";
    return {
      tree,
      look: this.look(source, tree, this.looks[0].coloring, 0),
      hits: this.swept,
      zoom: this.graphs[0].zoomed,
      flame,
      title: [one?.prettyname ?? "", value, ...sides, ...through].join(" · "),
      describe: (node: number) => {
        const card = this.describe(node);
        return card ? cardLines(card) : [];
      },
    };
  }

  private openMenu(node: number, x: number, y: number): void {
    const { tree } = this.drawn;
    const of = {
      name: nameOf(tree, node),
      level: tree.level[node],
      grouped: this.isGroup(node),
      stack: pathOf(tree, node).join(";"),
      amount: this.source ? asideText(tree, node, this.source.measure) : "",
      zoom: () => this.graphs[0].zoomTo(node),
    };
    void import("./flame_menu").then((menu) => menu.ofNode(this.context, [x, y], of));
  }
}

/** The nodes that only the second side has. */
function newIn(tree: Tree): Uint8Array {
  const [, before, after] = tree.sides;
  return Uint8Array.from(before.value, (was, i) => (i && !was && after.value[i] ? 1 : 0));
}
