// What lies over a graph: its loader, why there is nothing to see, what to do about it.

import { h, replace } from "./dom";

export class Cover {
  readonly element = h("div.over");
  private covering: (Node | null)[] = [];
  private lack: Node | null = null;

  /** What whoever brings the data lays over it. */
  cover(...children: (Node | null)[]): void {
    this.covering = children;
    this.draw();
  }

  /** What the view itself has to say; null for nothing. */
  say(lack: Node | null): void {
    if (!lack && !this.lack) return;
    this.lack = lack;
    this.draw();
  }

  private draw(): void {
    replace(this.element, ...this.covering, this.lack);
  }
}
