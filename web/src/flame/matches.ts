// What a search finds in a tree, and which of it was gone to last.

import { exactPath, markOf, outermost, pathOf, sum, total, type Tree } from "./tree";
import { search } from "./expression";
import { percent } from "../ui/format";
import type { SearchBox } from "./search";

/** What a share is of: per side, the whole. */
export interface Whole {
  all: number[];
  /** Sides 1 and 2 are compared. */
  compares: boolean;
  /** What is drawn is a part of the whole. */
  focused: boolean;
}

export class Matches {
  /** Per name, 1 where it matches; null without a search. */
  hits: Uint8Array | null = null;
  private tree: Tree | null = null;
  private text = "";
  /** Why nothing is found, and whether something may be found later; see `search`. */
  private wrong = "";
  private pending = false;
  private nodes: number[] = [];
  private ranked = false;
  /** Which match was gone to last; kept while the search stays, in newer data by its path. */
  step = -1;
  private exact: { names: string[]; name: string; hits: Uint8Array | null } | null = null;

  find(tree: Tree, text: string): void {
    if (tree === this.tree && text === this.text && !this.pending) return;
    const at = text === this.text ? this.current : -1;
    const path = at < 0 ? null : pathOf(this.tree!, at);
    const { hits, wrong, pending } = search(tree.names, text);
    const nodes = hits ? outermost(tree, hits) : [];
    Object.assign(this, { tree, text, hits, wrong, pending, nodes, ranked: false, step: -1 });
    if (path) this.step = this.rank().indexOf(exactPath(tree, path));
  }

  /** The largest first. Who types looks at the graph; only who goes through them needs this. */
  private rank(): number[] {
    const value = this.tree!.sides[0]!.value;
    if (!this.ranked) this.nodes.sort((a, b) => value[b] - value[a]);
    this.ranked = true;
    return this.nodes;
  }

  get count(): number {
    return this.nodes.length;
  }

  /** The match that was gone to last; -1 without one. */
  get current(): number {
    return this.step < 0 ? -1 : this.rank()[this.step];
  }

  /** The k-th match, the largest first; none for what is no place among them. */
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
    if (!tree) return "";
    const of = (side: number) => percent(sum(tree, nodes, side), all[side] ?? 0);
    if (compares) return `${of(1)} before, ${of(2)} after matched`;
    const text = `${of(0)} matched`;
    return focused ? `${text}, ${percent(sum(tree, nodes), total(tree))} of the focus` : text;
  }

  /** As `hits`, of this one name; null where there is no such name. */
  exactly(name: string): Uint8Array | null {
    const { names } = this.tree!;
    if (this.exact?.names !== names || this.exact.name !== name) {
      this.exact = { names, name, hits: markOf(names, name) };
    }
    return this.exact.hits;
  }
}
