// One frame in the middle: who called it above, what it called below.

import type { Context } from "./context";
import { button, h, replace } from "./dom";
import { colorByKind } from "./flame/colors";
import { describe } from "./flame/describe";
import { FlameGraph } from "./flame/graph";
import { NameTable } from "./flame/names";
import { label } from "./flame/paint";
import { sandwich } from "./flame/transform";
import { outermost, sum, total, type Tree } from "./flame/tree";
import type { Source } from "./flameview";
import { percent, quantity } from "./format";
import { legend } from "./legend";
import type { Part } from "./part";
import { menu } from "./popover";
import { compile, matchNames, type SearchBox } from "./search";
import type { Stacks } from "./stacks";

export class SandwichView implements Part {
  readonly element: HTMLElement;
  private readonly head = h("div", { class: "line" });
  private readonly over = h("div", { class: "over" });
  private readonly callers: FlameGraph;
  private readonly callees: FlameGraph;
  private readonly table: NameTable;
  private source: Source | null = null;
  private trees: { callers: Tree; callees: Tree } | null = null;

  constructor(
    private readonly context: Context,
    private readonly search: SearchBox,
    private readonly stacks: Stacks,
  ) {
    const { store } = context;
    this.callers = this.graph("Callers", () => this.trees?.callers);
    this.callees = this.graph("Callees", () => this.trees?.callees);
    this.table = new NameTable({
      order: (order) => store.set({ order }, "replace"),
      pick: (frame) => store.set({ frame }),
      menu: (frame, x, y) => this.openMenu(frame, x, y),
      marked: (frame) => frame === store.state.frame,
    });
    const half = (title: string, graph: FlameGraph) =>
      h("div", { class: "half" }, h("div", { class: "side" }, title), graph.element);
    this.element = h(
      "div",
      { class: "flameview sandwich" },
      this.head,
      h(
        "div",
        { class: "split" },
        h(
          "div",
          { class: "graph" },
          half("callers", this.callers),
          half("callees", this.callees),
          this.over,
          h("div", { class: "legend" }, ...legend("kind", "")),
        ),
        this.table.element,
      ),
    );
  }

  private graph(name: string, tree: () => Tree | undefined): FlameGraph {
    return new FlameGraph(name, {
      zoom: () => undefined,
      select: () => undefined,
      menu: (node, x, y) => {
        const shown = tree();
        if (shown) this.openMenu(shown.names[shown.name[node]!]!, x, y);
      },
      describe: (node) => {
        const shown = tree();
        if (!shown || !this.source) return [];
        return describe(shown, node, { unit: this.source.unit, all: total(this.source.tree) });
      },
    });
  }

  cover(...children: (Node | null)[]): void {
    replace(this.over, ...children);
  }

  setSource(source: Source): void {
    this.source = source;
    this.table.setTree(source.tree, source.unit, source.groups, null);
    this.draw();
  }

  update(): void {
    this.stacks.update(this);
    this.draw();
  }

  private draw(): void {
    if (!this.source) return;
    const { frame, order } = this.context.store.state;
    this.trees = frame ? sandwich(this.source.tree, frame) : null;
    this.drawHead(frame);
    const { trees } = this;
    if (trees) {
      const groups = { levels: -1, names: this.source.groupNames };
      this.callers.show(trees.callers, colorByKind(trees.callers, groups), true);
      this.callees.show(trees.callees, colorByKind(trees.callees, groups), false);
    }
    this.element.classList.toggle("bare", !trees);
    const expression = compile(this.context.store.state.search);
    const { names } = this.source.tree;
    const hits = expression instanceof RegExp ? matchNames(names, expression) : null;
    this.callers.highlight(hits);
    this.callees.highlight(hits);
    this.table.show(order, hits);
    if (frame) this.table.reveal(frame);
    this.saySearch(hits, expression);
  }

  private saySearch(hits: Uint8Array | null, expression: RegExp | string | null): void {
    if (!hits) {
      this.search.say(expression ? "not a regular expression" : "", !!expression);
      return;
    }
    const { tree } = this.source!;
    const nodes = outermost(tree, (node) => node > 0 && hits[tree.name[node]!] === 1);
    this.search.say(`${percent(sum(tree, nodes), total(tree))} matched`);
  }

  private drawHead(frame: string): void {
    const { store } = this.context;
    if (!this.trees) {
      const missing = frame ? `No stack here runs through ${label(frame)}. ` : "";
      replace(this.head, h("span", {}, `${missing}Choose a frame in the table.`));
      return;
    }
    const { tree, unit } = this.source!;
    const all = total(this.trees.callees);
    const back = () => store.set({ view: "flame", search: "" });
    replace(
      this.head,
      h(
        "span",
        {},
        h("strong", { class: "number" }, label(frame)),
        ` ${quantity(all, unit)}, ${percent(all, total(tree))} of all`,
      ),
      button("in the flame graph", back),
    );
  }

  private openMenu(frame: string, x: number, y: number): void {
    const { store } = this.context;
    const items = [
      { text: "Put it in the middle", run: () => store.set({ frame }) },
      {
        text: "Focus: only stacks through it",
        run: () => store.set({ view: "flame", focus: frame, zoom: [] }),
      },
      { text: "Copy name", run: () => void navigator.clipboard.writeText(label(frame)) },
    ];
    menu(x, y, items, label(frame));
  }

  repaint(): void {
    this.callers.repaint();
    this.callees.repaint();
  }

  next(): void {
    // The table shows only what matches: there is nowhere to step to.
  }
}
