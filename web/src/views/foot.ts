// The foot: how complete the data is, what is being read, what the colours mean, the zone.

import { progress, type Reading } from "../api/progress";
import type { Context } from "../state/context";
import { button, h, replace } from "../ui/dom";
import { exact, zoneName } from "../ui/format";
import type { Notices } from "./notices";
import type { Meta } from "../../generated/types";

export class Foot {
  readonly element: HTMLElement;
  private readonly reading = h("span.reading", { role: "status" });
  private readonly cost = h("span.number.cost");
  private readonly zone: HTMLButtonElement;

  constructor(
    private readonly context: Context,
    notices: Notices,
    legend: HTMLElement,
  ) {
    this.zone = button("", () => this.toggleZone(), { title: "Times in UTC, or in your own zone" });
    progress.changed = (reading) => this.tell(reading);
    const grow = h("span.grow");
    this.element = h(
      "footer.status",
      notices.element,
      this.reading,
      grow,
      legend,
      this.cost,
      this.zone,
    );
  }

  update(): void {
    this.zone.textContent = zoneName(this.context.store.state.zone);
  }

  /** Shows how much the shown answer was read from. */
  read({ rows, source, elapsed_ms }: Meta): void {
    this.cost.textContent = `${exact(rows)} rows · ${Math.round(elapsed_ms)} ms`;
    this.cost.title = source === "raw" ? "Read from single rows" : `Read from sums (${source})`;
  }

  private tell(reading: Reading | null): void {
    document.body.classList.toggle("slow", reading !== null);
    if (!reading) return replace(this.reading);
    const { done, all, ms, waiting } = reading;
    const text = `reading ${Math.min(done + 1, all)} of ${all} parts, ${(ms / 1000).toFixed(1)} s`;
    const said = this.reading.firstElementChild;
    this.reading.title = waiting.join(", ");
    if (said) said.textContent = text;
    else
      replace(
        this.reading,
        h("span.number", text),
        button("Cancel", () => progress.cancel()),
      );
  }

  private toggleZone(): void {
    const { store } = this.context;
    store.set({ zone: store.state.zone === "utc" ? "local" : "utc" }, "replace");
  }
}
