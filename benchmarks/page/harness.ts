// The interface of each page under test, and the timing of a step: from its call until the frame that
// shows it has been handed over.

export interface Subject {
  /** The library's own input, as text; parsing it is part of the first paint. */
  load(text: string): void;
  /** Into the widest child of the root. */
  zoom?(): void;
  /** Types all letters of a search but the last; this is not timed. */
  prepare?(text: string): Promise<void>;
  search?(text: string): void | Promise<void>;
}

function nextFrame(): Promise<void> {
  return new Promise((resolve) => requestAnimationFrame(() => resolve()));
}

function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Users click after the picture appears, so work that the previous step left is done first. */
function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 300));
}

/**
 * The step is a separate task, as an event is, right after a frame: the next frame shows it.
 * The first frame after a rest may come at any time, the second comes on the beat.
 */
async function timed(step: () => void | Promise<void>): Promise<number> {
  await rest();
  await nextFrame();
  await nextFrame();
  await nextTask();
  const start = performance.now();
  await step();
  await nextFrame();
  await nextTask();
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
