// The matches of a search in a tree, and the current one.

import { EMPTY, exactPath, markOf, outermost, pathOf, sum, total, type Tree } from "./tree";
import { search } from "./expression";
import { percent } from "../ui/format";
import type { SearchBox } from "./search";

/** The whole that shares refer to, per side. */
export interface Whole {
  all: number[];
  /** Sides 1 and 2 are compared. */
  compares: boolean;
  /** The graph shows a part of the whole. */
  focused: boolean;
}

export class Matches {
  /** Per name, 1 where it matches; null without a search. */
  hits: Uint8Array | null = null;
  private tree: Tree = EMPTY;
  private text = "";
  /** The reason for a failed search, and whether it can succeed later; see `search`. */
  private wrong = "";
  private pending = false;
  private nodes: number[] = [];
  private ranked = false;
  /** The current match, kept by its path in newer data while the search stays; -1 for none. */
  step = -1;
  private exact: { names: string[]; name: string; hits: Uint8Array | null } | null = null;

  find(tree: Tree, text: string): void {
    if (tree === this.tree && text === this.text && !this.pending) return;
    const at = text === this.text ? this.current : -1;
    const path = at < 0 ? null : pathOf(this.tree, at);
    const { hits, wrong, pending } = search(tree.names, text);
    const nodes = hits ? outermost(tree, hits) : [];
    Object.assign(this, { tree, text, hits, wrong, pending, nodes, ranked: false, step: -1 });
    if (path) this.step = this.rank().indexOf(exactPath(tree, path));
  }

  /** Sorts the matches, the largest first; needed only to step through them. */
  private rank(): number[] {
    const value = this.tree.sides[0].value;
    if (!this.ranked) this.nodes.sort((a, b) => value[b] - value[a]);
    this.ranked = true;
    return this.nodes;
  }

  get count(): number {
    return this.nodes.length;
  }

  /** The node of the current match; -1 without one. */
  get current(): number {
    return this.step < 0 ? -1 : this.rank()[this.step];
  }

  /** Goes to the k-th match, the largest first; to none if there is no such match. */
  goTo(k: number): void {
    this.step = k >= 0 && k < this.count ? k : -1;
  }

  /** The next match; -1 without one. */
  next(direction: 1 | -1): number {
    if (!this.count) return -1;
    const from = this.step < 0 && direction < 0 ? 0 : this.step;
    this.goTo((from + direction + this.count) % this.count);
    return this.current;
  }

  tell(box: SearchBox, whole: Whole): void {
    if (this.wrong) box.say(this.wrong, true);
    else if (this.pending) void box.wait();
    else if (!this.hits) box.say("");
    else if (this.step >= 0) box.say(`${this.step + 1} of ${this.nodes.length}`);
    else box.say(this.share(whole));
  }

  private share({ all, compares, focused }: Whole): string {
    const { tree, nodes } = this;
    const of = (side: number) => percent(sum(tree, nodes, side), all[side] ?? 0);
    if (compares) return `${of(1)} before, ${of(2)} after matched`;
    const text = `${of(0)} matched`;
    return focused ? `${text}, ${percent(sum(tree, nodes), total(tree))} of the focus` : text;
  }

  /** The same as `hits` for one name; null if no node has the name. */
  exactly(name: string): Uint8Array | null {
    const { names } = this.tree;
    if (this.exact?.names !== names || this.exact.name !== name) {
      this.exact = { names, name, hits: markOf(names, name) };
    }
    return this.exact.hits;
  }
}
