// The panel that says what changed in the selected time.

import type { Context } from "../state/context";
import { button, h } from "../ui/dom";

export class Changes {
  readonly element: HTMLElement;

  constructor(context: Context) {
    const close = button("×", () => context.store.set({ panel: "" }), { "aria-label": "Close" });
    this.element = h(
      "aside.panel",
      { "aria-label": "What changed here?" },
      h("header", h("h2", "What changed here?"), close),
    );
  }

  update(): void {
    // It has nothing to say yet.
  }
}
