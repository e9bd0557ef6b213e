// The layer over a graph: its loader, or an explanation of an empty graph.

import { h, replace } from "./dom";

export class Cover {
  private covering: Node[] = [];
  private message: Node | null = null;
  private said = 0;

  constructor(readonly element = h("div.over")) {}

  /** Shows the loaders, or the cover, of the source of the data. */
  cover(...children: Node[]): void {
    this.covering = children;
    this.draw();
  }

  /** Shows the view's own message, null for none; a later one replaces it, even if it comes first. */
  async say(message: Node | null | Promise<Node>): Promise<void> {
    const said = ++this.said;
    const shown = await message;
    if (said !== this.said || (!shown && !this.message)) return;
    this.message = shown;
    this.draw();
  }

  private draw(): void {
    replace(this.element, ...this.covering, this.message);
  }
}
