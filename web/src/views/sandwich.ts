// One frame in the middle: who called it above, what it called below.

import type { Context } from "../state/context";
import { Cover } from "../ui/cover";
import { afterFrame, h, replace } from "../ui/dom";
import { colorByKind, kindFill } from "../flame/colors";
import { describe } from "../flame/describe";
import { frame as described, OTHERS } from "../flame/frames";
import { FlameGraph, type GraphEvents, type Shown } from "../flame/graph";
import { NameTable } from "../flame/names";
import { drawOwn } from "../flame/own";
import { label, type Look } from "../flame/paint";
import { sandwich } from "../flame/transform";
import { EMPTY, findPath, nameOf, pathOf, total, wholes, type Tree } from "../flame/tree";
import type { Source } from "../flame/flame_query";
import { bare, told, type Measure } from "../ui/rate";
import { background, legend } from "../flame/legend";
import { Matches } from "../flame/matches";
import { memo } from "../ui/memo";
import { menu } from "../ui/popover";
import type { SearchBox } from "../flame/search";
import { act, frameItems } from "./frame_menu";
import { isLetter } from "./letters";
import { FrameBefore, type Before } from "./sandwich_before";
import { SandwichSide } from "./sandwich_side";
import { Way } from "./sandwich_way";
import { short } from "../ui/text";

type Side = "callers" | "callees";
type Half = Omit<Shown, "zoom">;
const SIDES: Side[] = ["callers", "callees"];
const CALLERS = "Callers, the nearest below. A click puts a frame in the middle";
const CALLEES = "Callees, the deepest below";

export class SandwichView {
  readonly element: HTMLElement;
  readonly content: HTMLElement[];
  private readonly middle = h("div.line.middle");
  private readonly way = new Way((frame) => this.choose(frame));
  private readonly side: SandwichSide;
  private readonly before: FrameBefore;
  readonly over = new Cover();
  readonly legend = h("div.legend");
  private readonly graphs: Record<Side, FlameGraph>;
  private readonly table: NameTable;
  private readonly matches = new Matches();
  private readonly found: Record<Side, Matches> = {
    callers: new Matches(),
    callees: new Matches(),
  };
  private source: Source | null = null;
  /** Null if no stack has the frame. */
  private halves: Record<Side, Half> | null = null;
  /** Nothing is seen before the halves are as high as their stacks: the bar would move. */
  private readonly uncover = afterFrame(() => this.element.classList.remove("early"));
  /** The content of the halves: newer data of the same keeps its place. */
  private of = "";

  constructor(
    private readonly context: Context,
    private readonly search: SearchBox,
  ) {
    const { store } = context;
    this.graphs = {
      callers: this.graph("Callers", "callers"),
      callees: this.graph("Callees", "callees"),
    };
    this.table = new NameTable(store, {
      pick: (frame) => this.choose(frame),
      menu: (frame, x, y) => this.openMenu(frame, x, y),
      marked: (frame) => frame === store.state.frame,
    });
    const back = () => store.set({ view: "flame", search: "" });
    this.side = new SandwichSide((frame) => this.choose(frame), back);
    this.before = new FrameBefore(context, () => this.update());
    const [callers, callees] = [
      h("div.half", h("div.side", CALLERS), this.graphs.callers.element),
      h("div.half", this.graphs.callees.element, h("div.side", CALLEES)),
    ];
    this.content = [callers, callees, this.table.element];
    const graph = h("div.graph", callers, this.middle, callees, this.over.element);
    const aside = h("div.middleside", this.side.element, this.table.element);
    this.element = h("div.flameview.sandwich.early", h("div.split", graph, aside));
  }

  get path(): HTMLElement {
    return this.way.element;
  }

  private graph(name: string, side: Side): FlameGraph {
    const { store } = this.context;
    const tree = () => this.halves?.[side].tree ?? EMPTY;
    const events: GraphEvents = {
      zoom: (node, step) => {
        store.set({ [side]: pathOf(tree(), node) }, step ? "replace" : "push");
      },
      select: () => undefined,
      menu: (node, x, y) => this.openMenu(nameOf(tree(), node), x, y),
      describe: (node) => {
        if (!this.halves || !this.source) return null;
        const { measure, events } = this.source;
        return describe(tree(), node, { measure, events, all: wholes(this.source.tree) });
      },
      letter: (node, letter) => {
        const name = nameOf(tree(), node);
        if (name === OTHERS || !isLetter(letter)) return false;
        act(this.context, name, letter);
        return true;
      },
      click: (node) => {
        const name = nameOf(tree(), node);
        if (name === OTHERS || this.isGroup(tree(), node)) return false;
        this.choose(name);
        return true;
      },
    };
    return new FlameGraph(name, events, 1);
  }

  setSource(source: Source): void {
    this.source = source;
    this.update();
  }

  private choose(frame: string): void {
    this.context.store.set({ frame, callers: [], callees: [] });
  }

  private isGroup(tree: Tree, node: number): boolean {
    return this.source?.groupNames[tree.name[node]] === 1;
  }

  update(): void {
    const { source } = this;
    if (!source || !this.element.isConnected) return;
    const { search, frame, ...state } = this.context.store.state;
    this.halves = this.derive(source, frame);
    this.showMiddle(source, frame);
    this.element.classList.toggle("bare", !this.halves);
    this.matches.find(source.tree, search);
    const { hits } = this.matches;
    for (const side of SIDES) {
      const half = this.halves?.[side];
      if (half) this.graphs[side].show({ ...half, zoom: findPath(half.tree, state[side]) });
      if (half) this.found[side].find(half.tree, search);
      this.graphs[side].highlight(hits);
    }
    this.tell();
    this.uncover();
    replace(this.legend, ...legend("kind", !!hits, source.tree));
    this.table.show(
      { source, tree: source.tree, root: 0, all: total(source.tree) },
      hits,
      source.of,
    );
  }

  /** The halves are made once for a frame, so that a zoom outlasts what else changes. */
  private readonly derive = memo((source: Source, frame: string) => {
    const trees = frame ? sandwich(source.tree, frame) : null;
    this.explain(source, trees, frame);
    if (!trees) return null;
    const of = `${source.of} ${frame}`;
    const newer = of === this.of;
    this.of = of;
    const groups = { levels: -1, names: source.groupNames };
    const half = (tree: Tree, flame: boolean): Half => {
      const own = (node: number) => bare(tree.sides[0].self[node], source.measure);
      const beside: Look["beside"] = (...drawn) => drawOwn(own, ...drawn);
      const aside = (node: number) => (node && this.isGroup(tree, node) ? "" : null);
      const look = { coloring: colorByKind(tree, groups), aside, added: null };
      const number = (node: number) => stepText(tree, node, source.measure);
      return { tree, look: { ...look, number, ...(!flame && { beside }) }, flame, newer };
    };
    return { callers: half(trees.callers, true), callees: half(trees.callees, false) };
  });

  private showMiddle(source: Source, frame: string): void {
    const { halves } = this;
    const callees = halves?.callees.tree ?? EMPTY;
    const before = halves && this.before.of(source, frame, total(callees));
    this.drawMiddle(source, halves && callees, frame, before);
    const trees = halves && { source, callers: halves.callers.tree, callees };
    this.side.show(trees, frame, before);
    this.way.show(frame);
  }

  private drawMiddle(
    source: Source,
    callees: Tree | null,
    frame: string,
    before: Before | null,
  ): void {
    if (!callees) return void replace(this.middle, h("span", "Choose a frame in the table."));
    const self = callees.sides[0].self[0];
    const amount = told(total(callees), source.measure);
    replace(
      this.middle,
      h("strong.number", short(label(frame))),
      h(
        "span.number",
        h("span", `total ${amount}`),
        self > 0 && h("span", `self ${bare(self, source.measure)}`),
        before && h("span", `${before.when}: ${before.text}`),
      ),
    );
    const fill = kindFill(described(frame).kind);
    this.middle.style.background = background(fill);
  }

  private explain(source: Source, trees: Record<Side, Tree> | null, frame: string): void {
    if (trees || !total(source.tree)) return void this.over.say(null);
    const missing = frame ? h("p", `No stack here runs through ${short(label(frame))}.`) : null;
    const text =
      "A frame that you choose in the table stands here, with its callers above and below it what it called.";
    void this.over.say(h("div.empty", missing, h("p", text)));
  }

  private openMenu(frame: string, x: number, y: number): void {
    const middle = { text: "Put it in the middle", run: () => this.choose(frame) };
    const items = frame === OTHERS ? [] : frameItems(this.context, frame);
    menu([x, y], [middle, ...items], short(label(frame)));
  }

  /** Through the callers, then the callees. */
  next(direction: 1 | -1): void {
    const { callers, callees } = this.found;
    const all = callers.count + callees.count;
    if (!all || !this.halves) return;
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

/** The amount of a frame where it is another than that of the frame nearer the middle. */
function stepText(tree: Tree, node: number, measure: Measure): string {
  const { value } = tree.sides[0];
  return value[node] === value[tree.parent[node]] ? "" : bare(value[node], measure);
}
