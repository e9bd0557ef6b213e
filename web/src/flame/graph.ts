// The flame graph as a control: a canvas that scrolls, zooms, is searched and is driven by keys.

import { sized, Tip } from "../ui/canvas";
import { openInPlace } from "../ui/popover";
import { afterFrame, h, soon } from "../ui/dom";
import { cardLines, type Card } from "./describe";
import { cardBody } from "./card";
import { metrics } from "./metrics";
import { paint, rowTop, sceneHeight, span, type Look, type Scene } from "./paint";
import { EMPTY, type Tree } from "./tree";

/** How long a finger stays down for the menu, in milliseconds. */
const PRESS = 550;

export interface GraphEvents {
  /** `step` marks one of many zooms, which do not each get an entry in the history. */
  zoom(node: number, step: boolean): void;
  select(node: number): void;
  menu(node: number, x: number, y: number): void;
  /** The tooltip, which a screen reader says too. */
  describe(node: number): Card | null;
  /** Handles a letter over the selected node; false where it means nothing. */
  letter?(node: number, key: string): boolean;
  /** A click of a pointer; false where it zooms, as it does without this. */
  click?(node: number): boolean;
}

export interface Shown {
  tree: Tree;
  look: Look;
  flame: boolean;
  zoom: number;
  /** The node that stays selected in another tree that is newer data of the same; -1 for none. */
  selected?: number;
  /** The tree is newer data of the same: the place that it is scrolled to stays. */
  newer?: boolean;
}

export class FlameGraph {
  readonly element: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly picture: HTMLElement;
  private readonly tip = new Tip();
  private readonly live: HTMLElement;
  private readonly scene: Scene;
  private readonly draw = soon(() => this.paintNow());
  /** The node to scroll to before the next picture; -1 for none. */
  private sought = -1;
  private clicked: MouseEvent | null = null;
  /** A finger that stays down opens the menu, where the browser does not say so itself. */
  private pressed = 0;
  /** Shows the tooltip of the node under the pointer after a zoom; placing it needs a layout. */
  private readonly tipAgain = afterFrame(() => {
    if (this.clicked) this.hover(this.clicked);
  });

  constructor(
    name: string,
    private readonly events: GraphEvents,
    /** The first level that is drawn. */
    first = 0,
  ) {
    this.canvas = h("canvas", {
      tabindex: 0,
      role: "application",
      "aria-roledescription": "flame graph",
    });
    this.call(name);
    this.picture = h("div.picture", this.canvas);
    this.live = h("div.unseen", { "aria-live": "polite" });
    this.element = h("div.flame", this.picture, this.tip.element, this.live);
    this.scene = {
      tree: EMPTY,
      coloring: { palette: [], index: new Uint8Array() },
      aside: () => null,
      added: null,
      hits: null,
      zoom: 0,
      selected: -1,
      hovered: -1,
      flame: false,
      first,
      ...metrics(),
    };
    this.listen();
  }

  call(name: string): void {
    const keys = "Arrow keys walk the frames, Enter zooms in, Escape out.";
    this.canvas.setAttribute("aria-label", `${name}. ${keys}`);
  }

  private listen(): void {
    const canvas = this.canvas;
    this.element.addEventListener("scroll", this.draw, { passive: true });
    this.element.addEventListener("repaint", this.draw);
    new ResizeObserver(() => this.measure()).observe(this.element);
    canvas.addEventListener("pointermove", (event) => this.hover(event));
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("click", (event) => {
      const node = this.at(event);
      const held = this.held;
      this.held = false;
      if (node < 0 || held || this.events.click?.(node)) return;
      this.zoomTo(node);
      this.clicked = event;
      this.tipAgain();
    });
    canvas.addEventListener("contextmenu", (event) => {
      const node = this.at(event);
      this.release();
      if (node < 0) return;
      this.select(node);
      openInPlace(event, () => this.events.menu(node, event.clientX, event.clientY));
    });
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    for (const end of ["pointerup", "pointercancel", "pointerleave"] as const) {
      canvas.addEventListener(end, () => this.release());
    }
    canvas.addEventListener("keydown", (event) => {
      if (this.key(event)) event.preventDefault();
    });
  }

  private press(event: PointerEvent): void {
    this.release();
    if (event.pointerType !== "touch") return;
    const node = this.at(event);
    this.pressed = window.setTimeout(() => {
      if (node < 0) return;
      this.select(node);
      this.held = true;
      this.events.menu(node, event.clientX, event.clientY);
    }, PRESS);
  }

  private release(): void {
    clearTimeout(this.pressed);
  }

  /** The menu is open already: the click that ends a long press means nothing. */
  private held = false;

  /** The size of a frame differs with the width of the window. */
  private measure(): void {
    Object.assign(this.scene, metrics());
    this.picture.style.height = `${sceneHeight(this.scene)}px`;
    this.draw();
  }

  /** The same tree keeps its selection and scroll position. */
  show(shown: Shown): void {
    const { tree, look, flame, zoom, selected = -1, newer = false } = shown;
    const { scene, element } = this;
    const same = tree === scene.tree && flame === scene.flame;
    if (same && look.coloring === scene.coloring && zoom === scene.zoom) return;
    if (same) {
      Object.assign(scene, look, { zoom });
      this.draw();
      return;
    }
    const turned = flame !== scene.flame;
    const fromEnd = element.scrollHeight - element.scrollTop;
    Object.assign(scene, look, { tree, flame, zoom, selected, hovered: -1, hits: null });
    this.sought = -1;
    this.picture.style.height = `${sceneHeight(scene)}px`;
    this.tip.hide();
    if (newer && !turned) {
      if (flame) element.scrollTop = element.scrollHeight - fromEnd;
    } else element.scrollTop = flame ? element.scrollHeight : 0;
    this.draw();
  }

  highlight(hits: Uint8Array | null): void {
    if (hits === this.scene.hits) return;
    this.scene.hits = hits;
    this.draw();
  }

  get zoomed(): number {
    return this.scene.zoom;
  }

  get selected(): number {
    return this.scene.selected;
  }

  zoomTo(node: number, step = false): void {
    if (node < 0 || node >= this.scene.tree.n) return;
    this.follow(node);
    this.select(node);
    this.events.zoom(node, step);
  }

  /** Zooms as another graph of the same nodes did. */
  follow(node: number): void {
    this.scene.zoom = node;
    this.tip.hide();
    this.draw();
  }

  /** Marks what is selected in another graph of the same nodes. */
  mark(node: number): void {
    if (node === this.scene.selected) return;
    this.scene.selected = node;
    this.sought = node;
    this.draw();
  }

  select(node: number): void {
    this.scene.selected = node;
    this.sought = node;
    const card = node >= 0 ? this.events.describe(node) : null;
    if (card) this.live.textContent = cardLines(card).join(", ");
    this.events.select(node);
    this.draw();
  }

  private reveal(node: number): void {
    const height = this.pictureHeight();
    const top = rowTop(this.scene, this.scene.tree.level[node], height);
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.scene.row > scrollTop + clientHeight)
      this.element.scrollTop = top + this.scene.row - clientHeight;
  }

  private pictureHeight(): number {
    const height = sceneHeight(this.scene);
    return this.scene.flame ? Math.max(height, this.element.clientHeight) : height;
  }

  private paintNow(): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const context = sized(this.canvas, width, height);
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    if (this.sought >= 0) this.reveal(this.sought);
    this.sought = -1;
    if (this.clicked) this.scene.hovered = this.at(this.clicked);
    paint(context, this.scene, { width, height, top: this.element.scrollTop });
  }

  private at(event: MouseEvent): number {
    const { scene } = this;
    const { tree } = scene;
    if (!tree.n) return -1;
    const y = event.offsetY + this.element.scrollTop;
    const from = scene.flame ? this.pictureHeight() - y : y;
    const level = Math.floor(from / scene.row) + scene.first;
    return this.nodeAt(event.offsetX, level);
  }

  private nodeAt(x: number, level: number): number {
    const { scene } = this;
    const { tree, zoom } = scene;
    if (level < 0 || level > tree.depth) return -1;
    let node = zoom;
    while (tree.level[node] > level) node = tree.parent[node];
    if (tree.level[node] === level) return node;
    const width = this.element.clientWidth;
    for (let i = zoom + 1; i < tree.end[zoom];) {
      const [from, size] = span(scene, i, width);
      if (x < from || x >= from + Math.max(size, 0.5)) i = tree.end[i];
      else if (tree.level[i] === level) return i;
      else i++;
    }
    return -1;
  }

  private hover(event: MouseEvent | null): void {
    this.clicked = null;
    const node = event ? this.at(event) : -1;
    if (node !== this.scene.hovered) {
      this.scene.hovered = node;
      this.draw();
    }
    const card = event && node >= 0 ? this.events.describe(node) : null;
    if (!event || !card) this.tip.hide();
    else this.tip.show(cardBody(card), event);
  }

  /** Handles a key; false where it does nothing. */
  private key(event: KeyboardEvent): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const { tree, flame, selected, zoom } = this.scene;
    const node = Math.max(selected, 0);
    const toRoot = () => this.select(Math.max(0, tree.parent[node]));
    const toLeaf = () => this.select(selected < 0 ? 0 : this.widestChild(node));
    const whole = () => this.zoomTo(0);
    const back = () => this.zoomTo(Math.max(0, tree.parent[zoom]));
    const menu = () => this.menuAt(node);
    const keys: Record<string, () => void> = {
      ArrowUp: flame ? toLeaf : toRoot,
      ArrowDown: flame ? toRoot : toLeaf,
      ArrowRight: () => this.select(this.sibling(node, 1)),
      ArrowLeft: () => this.select(this.sibling(node, -1)),
      Enter: () => this.zoomTo(node),
      "+": () => this.zoomTo(this.widestChild(zoom)),
      "-": back,
      Backspace: back,
      ...(zoom && { Escape: whole }),
      "0": whole,
      Home: whole,
      ContextMenu: menu,
      m: menu,
    };
    const act = keys[event.key];
    act?.();
    return act !== undefined || (selected >= 0 && !!this.events.letter?.(selected, event.key));
  }

  private menuAt(node: number): void {
    const box = this.canvas.getBoundingClientRect();
    const [from] = span(this.scene, node, box.width);
    const top = rowTop(this.scene, this.scene.tree.level[node], this.pictureHeight());
    const y = box.top + top - this.element.scrollTop + this.scene.row;
    this.events.menu(node, box.left + Math.max(0, from) + 8, y);
  }

  private widestChild(node: number): number {
    const { tree } = this.scene;
    const value = tree.sides[0].value;
    let best = node;
    for (let i = node + 1; i < tree.end[node]; i = tree.end[i]) {
      if (best === node || value[i] > value[best]) best = i;
    }
    return best;
  }

  /** The next node on the same level, under any parent. */
  private sibling(node: number, step: 1 | -1): number {
    const { tree } = this.scene;
    const level = tree.level[node];
    for (let i = node + step; i > 0 && i < tree.n; i += step) {
      if (tree.level[i] === level && tree.sides[0].value[i] > 0) return i;
    }
    return node;
  }
}
