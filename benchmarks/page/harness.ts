// What each page under test offers, and how a step is timed: from the call to the frame after it.

export interface Subject {
  /** The library's own input, as text; parsing it is part of the first paint. */
  load(text: string): void;
  /** Into the widest child of the root. */
  zoom?(): void;
  /** What is typed before the last letter of a search, which is not timed. */
  prepare?(text: string): Promise<void>;
  search?(text: string): void | Promise<void>;
}

function nextFrame(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}

/** Milliseconds until the work is done and a frame that shows it has been handed over. */
async function timed(step: () => void | Promise<void>): Promise<number> {
  await nextFrame();
  const start = performance.now();
  await step();
  await nextFrame();
  await nextFrame();
  return performance.now() - start;
}

export function offer(subject: Subject): void {
  const face = {
    idle: () => timed(() => undefined),
    async paint(address: string) {
      const text = await (await fetch(address)).text();
      return timed(() => subject.load(text));
    },
    zoom: () => (subject.zoom ? timed(() => subject.zoom!()) : null),
    async search(text: string) {
      if (!subject.search) return null;
      await subject.prepare?.(text);
      return timed(() => subject.search!(text));
    },
  };
  Object.assign(window, { bench: face });
}

export const WIDTH = 1400;
