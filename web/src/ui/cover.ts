// The layer over a graph: its loader, or an explanation of an empty graph.

import { h, replace } from "./dom";

export class Cover {
  readonly element = h("div.over");
  private covering: (Node | null)[] = [];
  private message: Node | null = null;

  /** Shows the loaders and explanations of the source of the data. */
  cover(...children: (Node | null)[]): void {
    this.covering = children;
    this.draw();
  }

  /** Shows the view's own message; null for none. */
  say(message: Node | null): void {
    if (!message && !this.message) return;
    this.message = message;
    this.draw();
  }

  private draw(): void {
    replace(this.element, ...this.covering, this.message);
  }
}
