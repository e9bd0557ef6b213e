// How far the questions are that the page asks at once.

const PATIENCE = 400;
/** How long questions wait at most that can come after the others. */
const LONGEST = 1000;

interface Asking {
  readonly what: string;
  stop(): void;
}

/** How many of them have an answer, which have none yet, and the time since the first was asked. */
export interface Reading {
  done: number;
  all: number;
  waiting: string[];
  ms: number;
}

class Progress {
  private readonly waiting = new Set<Asking>();
  private readonly later = new Map<() => void, number>();
  private done = 0;
  private start = 0;
  private timer = 0;
  /** Called while a question waits, and with null once none does. */
  changed: (reading: Reading | null) => void = () => undefined;

  begin(asking: Asking): void {
    if (!this.waiting.size) {
      Object.assign(this, { done: 0, start: performance.now() });
      this.timer = window.setInterval(() => this.tell(), 100);
    }
    this.waiting.add(asking);
  }

  end(asking: Asking): void {
    if (!this.waiting.delete(asking)) return;
    this.done++;
    if (this.waiting.size) return;
    clearInterval(this.timer);
    this.changed(null);
    for (const ask of this.later.keys()) this.after(ask);
  }

  /** Calls `ask` once no question waits, or after a while: what is shown first is asked first. */
  after(ask: () => void): void {
    clearTimeout(this.later.get(ask));
    const run = () => {
      this.later.delete(ask);
      ask();
    };
    this.later.set(ask, window.setTimeout(run, this.waiting.size ? LONGEST : 0));
  }

  /** Cancels those without an answer; each says so in its own place. */
  cancel(): void {
    for (const one of [...this.waiting]) one.stop();
  }

  private tell(): void {
    const ms = performance.now() - this.start;
    if (ms < PATIENCE) return;
    const waiting = [...this.waiting].map(({ what }) => what);
    this.changed({ done: this.done, all: this.done + waiting.length, waiting, ms });
  }
}

export const progress = new Progress();
