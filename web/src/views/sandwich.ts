// One frame in the middle: who called it above, what it called below.

import type { Context } from "../state/context";
import { Cover } from "../ui/cover";
import { button, h, replace } from "../ui/dom";
import { colorByKind } from "../flame/colors";
import { asideText, describe } from "../flame/describe";
import { OTHERS } from "../flame/frames";
import { FlameGraph, type Shown } from "../flame/graph";
import { NameTable } from "../flame/names";
import { label } from "../flame/paint";
import { sandwich } from "../flame/transform";
import { EMPTY, findPath, nameOf, pathOf, total, wholes, type Tree } from "../flame/tree";
import type { Source } from "../flame/flame_query";
import { percent } from "../ui/format";
import { told } from "../ui/rate";
import { legend } from "../flame/legend";
import { Matches } from "../flame/matches";
import { memo } from "../ui/memo";
import { menu } from "../ui/popover";
import type { SearchBox } from "../flame/search";
import { frameItems, frameLetter } from "./frame_menu";
import { short } from "../ui/text";

type Side = "callers" | "callees";
type Half = Omit<Shown, "zoom">;
const SIDES: Side[] = ["callers", "callees"];

export class SandwichView {
  readonly element: HTMLElement;
  readonly content: HTMLElement[];
  private readonly head = h("div.line");
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
    const halves = SIDES.map((side) =>
      h("div.half", h("div.side", side), this.graphs[side].element),
    );
    this.content = [...halves, this.table.element];
    const graph = h("div.graph", ...halves, this.over.element);
    const split = h("div.split", graph, this.table.element);
    this.element = h("div.flameview.sandwich", this.head, split);
  }

  private graph(name: string, side: Side): FlameGraph {
    const { store } = this.context;
    const tree = () => this.halves?.[side].tree ?? EMPTY;
    return new FlameGraph(name, {
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
        return name !== OTHERS && frameLetter(this.context, name, letter);
      },
    });
  }

  setSource(source: Source): void {
    this.source = source;
    this.update();
  }

  private choose(frame: string): void {
    this.context.store.set({ frame, callers: [], callees: [] });
  }

  update(): void {
    const { source } = this;
    if (!source || !this.element.isConnected) return;
    const { search, frame, ...state } = this.context.store.state;
    this.halves = this.derive(source, frame);
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
    this.drawHead(source, trees, frame);
    this.explain(source, trees, frame);
    if (!trees) return null;
    const of = `${source.of} ${frame}`;
    const newer = of === this.of;
    this.of = of;
    const groups = { levels: -1, names: source.groupNames };
    const half = (tree: Tree, flame: boolean): Half => {
      const aside = (node: number) => (node ? null : asideText(tree, node, source.measure));
      const look = { coloring: colorByKind(tree, groups), aside, added: null };
      return { tree, look, flame, newer };
    };
    return { callers: half(trees.callers, true), callees: half(trees.callees, false) };
  });

  private drawHead(source: Source, trees: Record<Side, Tree> | null, frame: string): void {
    const { store } = this.context;
    if (!trees) {
      replace(this.head, h("span", "Choose a frame in the table."));
      return;
    }
    const all = total(trees.callees);
    const share = `${told(all, source.measure)}, ${percent(all, total(source.tree))} of all`;
    const name = h("strong.number", short(label(frame)));
    const back = () => store.set({ view: "flame", search: "" });
    replace(this.head, h("span", name, ` ${share}`), button("in the flame graph", back));
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
