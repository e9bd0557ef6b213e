// The requests of one chart: only the newest answer is shown, slow requests can be cancelled, and an
// error is shown in the chart's place.

import { ApiError, get, url, type Query } from "./client";
import { button, h, replace, type Child } from "../ui/dom";
import { exact } from "../ui/format";
import { progress } from "./progress";

let round = 0;

/** Starts a refresh: questions without an answer are asked again. */
export function newRound(): void {
  round++;
}

export class Loader {
  /** Lies over the chart, so that nothing moves when it comes and goes. */
  readonly element = h("div.loader", { role: "status", hidden: true });
  private asked = "";
  private answered = "";
  /** The round in which it was given up; -1 if it was not. */
  private unanswered = -1;
  private stale = false;
  private abort: AbortController | null = null;
  private again: () => void = () => undefined;
  private content: HTMLElement[] = [];

  constructor(readonly what: string) {}

  /**
   * Sets the elements that show this loader's answers alone; they fade while they show an old one,
   * which must not pass for a new one.
   */
  over(...content: HTMLElement[]): this {
    const { stale } = this;
    this.fade(false);
    this.content = content;
    this.fade(stale);
    return this;
  }

  /**
   * Asks a question and passes the answer to `show`, unless the same question was asked last. A
   * question that failed or was cancelled is asked again by its button and by the next refresh.
   */
  async ask<T>(path: string, query: Query, show: (answer: T) => void): Promise<void> {
    const asked = url(path, query);
    const lost = this.unanswered >= 0 && this.unanswered < round;
    if (asked === this.asked && !lost) return;
    this.cancel();
    this.asked = asked;
    this.unanswered = -1;
    if (this.answered && this.answered !== path) this.fade(true);
    const abort = new AbortController();
    this.abort = abort;
    const again = () => {
      this.asked = "";
      void this.ask(path, query, show);
    };
    this.again = again;
    progress.begin(this);
    try {
      const answer = await get<T>(path, query, abort.signal);
      if (this.abort !== abort) return;
      this.cancel();
      this.answered = path;
      this.fade(false);
      show(answer);
    } catch (error) {
      if (this.abort !== abort) return;
      this.giveUp(again, ...this.failure(error));
      this.element.classList.add("failed");
    }
  }

  /** Whether the question asked last has its answer. */
  get settled(): boolean {
    return this.asked !== "" && !this.abort && this.unanswered < 0;
  }

  cancel(): void {
    this.abort?.abort();
    this.abort = null;
    progress.end(this);
    this.element.hidden = true;
    this.element.classList.remove("failed");
  }

  private giveUp(again: () => void, ...said: Child[]): void {
    this.cancel();
    this.unanswered = round;
    this.fade(true);
    replace(this.element, ...said, button("Try again", again));
    this.element.hidden = false;
  }

  private fade(stale: boolean): void {
    this.stale = stale;
    for (const element of this.content) {
      element.classList.toggle("stale", stale);
      element.inert = stale;
    }
  }

  /** Cancels the question; its place says so, and offers to ask again. */
  stop(): void {
    this.giveUp(this.again, "Cancelled.");
  }

  private failure(error: unknown): Child[] {
    if (!(error instanceof ApiError)) {
      return [`${this.what} failed: ${error instanceof Error ? error.message : error}`];
    }
    // The detail of a refusal repeats the first of its errors.
    const details = error.errors.map((one) =>
      [one.parameter ?? one.pointer, one.detail].filter(Boolean).join(": "),
    );
    const lines = details.length ? details : [error.detail];
    const title = error.status ? `${this.what} failed` : error.title;
    return [h("strong", title), ...lines.map((text) => h("div", text))];
  }
}

export function cost(meta: { rows: number; source: string; elapsed_ms: number }): string {
  const from = meta.source === "raw" ? "single rows" : `sums (${meta.source})`;
  return `${exact(meta.rows)} rows, read from ${from} in ${Math.round(meta.elapsed_ms)} ms`;
}
