// The range of time: the last minutes or hours, typed times, and whether it moves on.

import type { Context } from "../state/context";
import { iso, knownMoment, PRESETS, rangeText } from "../state/ranges";
import { button } from "../ui/dom";
import { dateTime, zoneName } from "../ui/format";
import { opener } from "../ui/popover";

export class RangeMenu {
  readonly range: HTMLButtonElement;
  readonly live: HTMLButtonElement;

  constructor(private readonly context: Context) {
    this.range = opener("", "dialog", () => this.open(), { class: "range caret" });
    this.live = button("Live", () => this.toggleLive(), {
      title: "Ask again every ten seconds",
      "aria-pressed": "false",
      class: "live",
    });
  }

  update(): void {
    const { store, range } = this.context;
    const { from, to, zone, live } = store.state;
    this.live.setAttribute("aria-pressed", String(live));
    this.range.textContent = rangeText(from, to, zone);
    this.range.title = `${dateTime(range.from, zone)} – ${dateTime(range.to, zone)} ${zoneName(zone)}`;
  }

  private open(): void {
    void import("./range_list").then((list) => list.open(this.context, this.range));
  }

  private toggleLive(): void {
    const { store } = this.context;
    const live = !store.state.live;
    const length = this.context.range.to - this.context.range.from;
    const now = Date.now();
    const preset = PRESETS.find(([from]) => now * 1000 - knownMoment(from, now) >= length - 1e6);
    const change =
      live && store.state.to !== "now" ? { from: preset?.[0] ?? "now-1h", to: "now" } : {};
    store.set({ live, ...change }, "replace");
    if (live) this.context.refresh();
  }
}

/** Moves the range by half its length, or makes it twice or half as long around its middle. */
export function moveRange(context: Context, by: number, length = 1): void {
  const { from, to } = context.range;
  const middle = (from + to) / 2 + by * (to - from);
  const half = ((to - from) * length) / 2;
  const range = { from: iso(middle - half), to: iso(middle + half) };
  context.store.set({ ...range, box: null, live: false });
  context.refresh();
}
