// One chart's requests: the newest wins, slow ones say so and can be cancelled, errors stay in place.

import { ApiError, get, url, type Query } from "./api";
import { button, h, replace } from "./dom";
import { exact } from "./format";

const PATIENCE = 400;

export class Loader {
  /** Lies over the chart, so that nothing moves when it comes and goes. */
  readonly element = h("div", { class: "loader", role: "status", hidden: true });
  private asked = "";
  private abort: AbortController | null = null;
  private timer = 0;

  constructor(private readonly what: string) {}

  /**
   * Answers `show` unless the same question was asked last. A failed or cancelled question is
   * forgotten, so that the next refresh asks again.
   */
  async ask<T>(path: string, query: Query, show: (answer: T) => void): Promise<void> {
    const asked = url(path, query);
    if (asked === this.asked) return;
    this.cancel();
    this.asked = asked;
    const abort = new AbortController();
    this.abort = abort;
    this.watch(performance.now());
    try {
      const answer = await get<T>(path, query, abort.signal);
      if (this.abort !== abort) return;
      this.done();
      show(answer);
    } catch (error) {
      if (this.abort !== abort) return;
      this.done();
      this.asked = "";
      this.fail(error, () => this.ask(path, query, show));
    }
  }

  cancel(): void {
    this.abort?.abort();
    this.abort = null;
    this.done();
  }

  private done(): void {
    clearInterval(this.timer);
    this.element.hidden = true;
    this.element.classList.remove("failed");
  }

  private watch(start: number): void {
    clearInterval(this.timer);
    const time = h("span", { class: "number" });
    const show = () => {
      const seconds = (performance.now() - start) / 1000;
      if (seconds * 1000 < PATIENCE) return;
      if (this.element.hidden) {
        const stop = () => {
          this.cancel();
          this.asked = "";
          this.say("Cancelled.", null);
        };
        replace(this.element, `${this.what} … `, time, button("Cancel", stop));
        this.element.hidden = false;
      }
      time.textContent = `${seconds.toFixed(1)} s`;
    };
    this.timer = window.setInterval(show, 100);
  }

  private say(text: string, again: (() => void) | null): void {
    replace(this.element, text, again && button("Try again", again));
    this.element.hidden = false;
  }

  private fail(error: unknown, again: () => void): void {
    this.element.classList.add("failed");
    if (!(error instanceof ApiError)) {
      this.say(`${this.what} failed: ${error instanceof Error ? error.message : error}`, again);
      return;
    }
    // The detail of a refusal is the first of its errors, once more.
    const details = error.errors.map((one) =>
      [one.parameter ?? one.pointer, one.detail].filter(Boolean).join(": "),
    );
    const lines = details.length ? details : [error.detail];
    replace(
      this.element,
      h("strong", {}, error.status ? `${this.what} failed` : error.title),
      ...lines.map((text) => h("div", {}, text)),
      button("Try again", again),
    );
    this.element.hidden = false;
  }
}

export function cost(meta: { rows: number; source: string; elapsed_ms: number }): string {
  const from = meta.source === "raw" ? "single rows" : `sums (${meta.source})`;
  return `${exact(meta.rows)} rows, read from ${from} in ${Math.round(meta.elapsed_ms)} ms`;
}
