// The effect of a selection on the page, and the baseline that is visible beside it.

import { baselineRange } from "../header/baseline";
import { bounds, type Context } from "../state/context";
import { iso } from "../state/ranges";
import type { Box } from "../state/address";
import type { Range } from "./steps";

const BACK: Record<string, number> = { day: 86_400e6, week: 7 * 86_400e6 };

export class Selecting {
  /** Ranges that were left by zooming in, the last one last. */
  private readonly left: { from: string; to: string }[] = [];
  private zoomed = "";

  constructor(private readonly context: Context) {}

  get box(): Box | null {
    return this.context.store.state.box;
  }

  /** The other side, while one compares. */
  get base(): Range | null {
    const { view, panel, baseline, "base.from": from } = this.context.store.state;
    if (panel === "changes") {
      if (baseline === "hosts") return null;
      if (baseline !== "range") return this.before(BACK[baseline]);
      if (from) return baselineRange(this.context);
    }
    return view === "compare" ? baselineRange(this.context) : null;
  }

  /** Whether the panel has the question already. */
  get asking(): boolean {
    return this.context.store.state.panel === "changes";
  }

  private before(back?: number): Range {
    const { from, to } = bounds(this.context, "box");
    const shift = back ?? to - from;
    return { from: from - shift, to: to - shift };
  }

  choose(box: Box | null, history: "push" | "replace" = "push"): void {
    this.context.store.set({ box, zoom: [] }, history);
  }

  chooseBase(range: Range): void {
    const { store } = this.context;
    const base = { "base.from": iso(range.from), "base.to": iso(range.to) };
    if (store.state.panel === "changes") store.set({ ...base, baseline: "range" });
    else store.set({ ...base, view: "compare" });
  }

  ask(box = this.box): void {
    this.context.store.set({ box, panel: "changes" });
  }

  /** The same length before a moment and after it, side by side. */
  compareAt(time: number): void {
    const { range, store } = this.context;
    const least = (range.to - range.from) / 12;
    const length = Math.max(least, Math.min(time - range.from, range.to - time));
    const box = { column: "", from: time, to: time + length, low: null, high: null };
    const base = { "base.from": iso(time - length), "base.to": iso(time) };
    store.set({ box, ...base, view: "compare", panel: "", zoom: [] });
  }

  /** Asks for all that is new after a moment. */
  askAt(time: number): void {
    const { from, to } = this.context.range;
    const length = Math.min(600e6, (to - from) / 6);
    this.ask({ column: "", from: time, to: time + length, low: null, high: null });
  }

  /** The range becomes the selection. */
  zoom(): void {
    const { store, refresh } = this.context;
    const { box, from, to } = store.state;
    if (!box) return;
    this.left.push({ from, to });
    const range = { from: iso(box.from), to: iso(box.to) };
    this.zoomed = range.from + range.to;
    store.set({ ...range, live: false, box: null });
    refresh();
  }

  /** Whether the shown range was zoomed to, so that there is a way out. */
  get inside(): boolean {
    const { from, to } = this.context.store.state;
    return this.left.length > 0 && this.zoomed === from + to;
  }

  out(): void {
    const range = this.left.pop();
    if (!range) return;
    const { store, refresh } = this.context;
    const { from, to } = this.context.range;
    this.zoomed = range.from + range.to;
    store.set({ ...range, box: { column: "", from, to, low: null, high: null } });
    refresh();
  }
}
