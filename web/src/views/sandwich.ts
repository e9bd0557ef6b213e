// One frame in the middle: who called it above, what it called below.

import { stackColumn, type Context } from "../state/context";
import { copyText } from "../ui/copy";
import { Cover } from "../ui/cover";
import { button, h, replace } from "../ui/dom";
import { colorByKind, type Coloring } from "../flame/colors";
import { describe } from "../flame/describe";
import { OTHERS } from "../flame/frames";
import { FlameGraph } from "../flame/graph";
import { NameTable } from "../flame/names";
import { label } from "../flame/paint";
import { hasRest } from "../flame/rest";
import { sandwich } from "../flame/transform";
import { findPath, pathOf, total, wholes, type Tree } from "../flame/tree";
import { HAS, LACKS, withFilter } from "../state/filters";
import type { Source } from "../flame/flame_query";
import { percent, quantity } from "../ui/format";
import { legend } from "../flame/legend";
import { Matches } from "../flame/matches";
import type { Part } from "../ui/part";
import { menu } from "../ui/popover";
import type { SearchBox } from "../flame/search";
import type { Stacks } from "./stacks";
import { short } from "../ui/text";

type Side = "callers" | "callees";
const SIDES: Side[] = ["callers", "callees"];

/** What is drawn, and from what it was made; trees are null where no stack has the frame. */
interface Drawn {
  source: Source;
  frame: string;
  trees: Record<Side, Tree> | null;
}

export class SandwichView implements Part {
  readonly element: HTMLElement;
  readonly content: HTMLElement[];
  private readonly head = h("div", { class: "line" });
  private readonly over = new Cover();
  private readonly legend = h("div", { class: "legend" });
  private readonly graphs: Record<Side, FlameGraph>;
  private readonly table: NameTable;
  private readonly matches = new Matches();
  private readonly found: Record<Side, Matches> = {
    callers: new Matches(),
    callees: new Matches(),
  };
  private source: Source | null = null;
  private drawn: Drawn | null = null;
  private listed: Source | null = null;
  private revealed = "";
  private readonly coloring: Partial<Record<Side, Coloring>> = {};

  constructor(
    private readonly context: Context,
    private readonly search: SearchBox,
    private readonly stacks: Stacks,
  ) {
    const { store } = context;
    this.graphs = {
      callers: this.graph("Callers", "callers"),
      callees: this.graph("Callees", "callees"),
    };
    this.table = new NameTable({
      order: (order) => store.set({ order }, "replace"),
      pick: (frame) => this.choose(frame),
      menu: (frame, x, y) => this.openMenu(frame, x, y),
      marked: (frame) => frame === store.state.frame,
    });
    const halves = SIDES.map((side) =>
      h("div", { class: "half" }, h("div", { class: "side" }, side), this.graphs[side].element),
    );
    this.content = [...halves, this.table.element];
    const graph = h("div", { class: "graph" }, ...halves, this.over.element, this.legend);
    const split = h("div", { class: "split" }, graph, this.table.element);
    this.element = h("div", { class: "flameview sandwich" }, this.head, split);
  }

  private graph(name: string, side: Side): FlameGraph {
    const { store } = this.context;
    const tree = () => this.drawn?.trees?.[side];
    return new FlameGraph(name, {
      zoom: (node, step) => {
        const zoom = pathOf(tree()!, node);
        store.set({ [side]: zoom }, step ? "replace" : "push");
      },
      select: () => undefined,
      menu: (node, x, y) => {
        const shown = tree();
        if (shown) this.openMenu(shown.names[shown.name[node]], x, y);
      },
      describe: (node) => {
        const shown = tree();
        if (!shown || !this.source) return [];
        return describe(shown, node, { unit: this.source.unit, all: wholes(this.source.tree) });
      },
    });
  }

  cover(...children: (Node | null)[]): void {
    this.over.cover(...children);
  }

  setSource(source: Source): void {
    this.source = source;
    this.draw();
  }

  update(): void {
    this.stacks.update(this);
    this.draw();
  }

  private choose(frame: string): void {
    this.context.store.set({ frame, callers: [], callees: [] });
  }

  private draw(): void {
    const { source } = this;
    if (!source || !this.element.isConnected) return;
    const { state } = this.context.store;
    if (this.listed !== source) {
      this.listed = source;
      this.table.setTree(source.tree, source.unit, source.groups, null);
    }
    const { trees } = this.derive(source, state.frame);
    this.element.classList.toggle("bare", !trees);
    this.matches.find(source.tree, state.search);
    const { hits } = this.matches;
    for (const side of SIDES) {
      this.graphs[side].highlight(hits);
      if (trees) this.found[side].find(trees[side], state.search);
    }
    this.tell();
    replace(this.legend, ...legend("kind", !!hits, hasRest(source.tree)));
    this.table.show(state.order, hits, `${source.of} ${state.search}`);
    if (state.frame && state.frame !== this.revealed) this.table.reveal(state.frame);
    this.revealed = state.frame;
  }

  /** The halves are made once for a frame, so that a zoom outlasts what else changes. */
  private derive(source: Source, frame: string): Drawn {
    const { state } = this.context.store;
    const before = this.drawn;
    if (source !== before?.source || frame !== before.frame) {
      this.drawn = { source, frame, trees: frame ? sandwich(source.tree, frame) : null };
      this.drawHead(frame);
      this.explain(frame);
    }
    const { trees } = this.drawn!;
    const newer = before?.frame === frame && before.source.of === source.of;
    const groups = { levels: -1, names: source.groupNames };
    for (const side of trees ? SIDES : []) {
      const tree = trees![side];
      const made = this.drawn !== before || !this.coloring[side];
      if (made) this.coloring[side] = colorByKind(tree, groups);
      const coloring = this.coloring[side]!;
      const zoom = findPath(tree, state[side]);
      this.graphs[side].show({ tree, coloring, flame: side === "callers", zoom, newer });
    }
    return this.drawn!;
  }

  private drawHead(frame: string): void {
    const { store } = this.context;
    const { trees, source } = this.drawn!;
    if (!trees) {
      replace(this.head, h("span", {}, "Choose a frame in the table."));
      return;
    }
    const all = total(trees.callees);
    const back = () => store.set({ view: "flame", search: "" });
    replace(
      this.head,
      h(
        "span",
        {},
        h("strong", { class: "number" }, short(label(frame))),
        ` ${quantity(all, source.unit)}, ${percent(all, total(source.tree))} of all`,
      ),
      button("in the flame graph", back),
    );
  }

  private explain(frame: string): void {
    const { trees, source } = this.drawn!;
    if (trees || !total(source.tree)) {
      this.over.say(null);
      return;
    }
    const missing = frame ? h("p", {}, `No stack here runs through ${short(label(frame))}.`) : null;
    const text =
      "A frame that you choose in the table stands here, with its callers above and below it what it called.";
    this.over.say(h("div", { class: "empty" }, missing, h("p", {}, text)));
  }

  private openMenu(frame: string, x: number, y: number): void {
    const { store } = this.context;
    const items = [
      { text: "Put it in the middle", run: () => this.choose(frame) },
      {
        text: "Focus: only stacks through it",
        run: () => store.set({ view: "flame", focus: frame, zoom: [] }),
      },
      { text: "Filter the rows by it", run: () => this.filter(HAS, frame) },
      { text: "Leave out the rows with it", run: () => this.filter(LACKS, frame) },
      { text: "Copy name", run: () => void copyText(label(frame)) },
    ];
    menu(x, y, frame === OTHERS ? items.slice(0, 1) : items, short(label(frame)));
  }

  private filter(op: string, value: string): void {
    const { store } = this.context;
    const filter = { column: stackColumn(this.context), op, value };
    const filters = withFilter(store.state.filters, filter);
    store.set({ filters, callers: [], callees: [] });
  }

  repaint(): void {
    for (const side of SIDES) this.graphs[side].repaint();
  }

  /** Through the callers, then the callees. */
  next(direction: 1 | -1): void {
    const { callers, callees } = this.found;
    const all = callers.count + callees.count;
    if (!all || !this.drawn?.trees) return;
    const from = this.place >= 0 ? this.place : direction < 0 ? 0 : -1;
    const to = (from + direction + all) % all;
    callers.goTo(to < callers.count ? to : -1);
    callees.goTo(to - callers.count);
    const side = callers.current >= 0 ? "callers" : "callees";
    this.graphs[side].zoomTo(this.found[side].current, true);
    this.tell();
  }

  /** Which of all matches was gone to last; -1 before the first. */
  private get place(): number {
    const { callers, callees } = this.found;
    if (callers.step >= 0) return callers.step;
    return callees.step >= 0 ? callers.count + callees.step : -1;
  }

  private tell(): void {
    const { callers, callees } = this.found;
    if (this.place < 0) {
      const all = this.source ? wholes(this.source.tree) : [];
      this.matches.tell(this.search, { all, compares: false, focused: false });
    } else this.search.say(`${this.place + 1} of ${callers.count + callees.count}`);
  }
}
