// The one time axis of Home's lines: its ticks, the markers through all lines, and what is selected.

import { timeTicks } from "../charts/ticks";
import type { Context } from "../state/context";
import { timeAlone } from "../state/address";
import { button, h, replace } from "../ui/dom";
import { dateTime } from "../ui/format";
import { plain, short } from "../ui/text";
import type { Overview } from "../../generated/types";

/** The width of a character of the axis' face, as a part of its size. */
const CHARACTER = 0.605;
const LEAST_DRAG = 4;

interface Range {
  from: number;
  to: number;
}

export class HomeAxis {
  /** Lies over the lines; its ticks are in its first row. */
  readonly element = h("div.axis");
  private answer: Overview | null = null;
  private drag: { start: number; now: number } | null = null;

  constructor(private readonly context: Context) {
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  show(answer: Overview, lines: number): void {
    this.answer = answer;
    this.element.style.gridRow = `1 / span ${lines + 1}`;
    this.draw();
  }

  draw(): void {
    const { answer, element } = this;
    const pixels = element.clientWidth;
    if (!answer || !pixels) return;
    const { zone } = this.context.store.state;
    const character = parseFloat(getComputedStyle(element).fontSize) * CHARACTER;
    const width = (text: string) => text.length * character;
    const ticks = timeTicks(answer.from, answer.to, pixels, zone, width).filter(
      // A tick that would stand out at an end is left out.
      ({ time, text }) => Math.abs(part(answer, time) - 0.5) < 0.5 - width(text) / pixels / 2,
    );
    replace(
      element,
      ...ticks.map(({ time, text }) => placed(h("span.tick", text), part(answer, time))),
      ...this.markers(answer, pixels, width),
      this.selection(answer),
    );
  }

  private markers(range: Overview, pixels: number, width: (text: string) => number): HTMLElement[] {
    let free = 0;
    return merged(range).flatMap(({ time, message, hosts }) => {
      const at = part(range, time);
      const name = short(plain(message.split(": ")[0] ?? ""), 40);
      const wide = width(name) + 12;
      const left = at * pixels + wide > pixels;
      const begins = at * pixels - (left ? wide : 0);
      const label = begins >= free;
      if (label) free = begins + wide;
      const { zone } = this.context.store.state;
      const title = [`${message}, ${dateTime(time, zone)}`, hosts.join(", ")].join("\n");
      return [
        placed(h("i.marker"), at),
        placed(h(left ? "span.flag.left" : "span.flag", { title }, label ? name : ""), at),
      ];
    });
  }

  private selection(range: Range): HTMLElement | null {
    const { box, panel } = this.context.store.state;
    const chosen = this.drag ? dragged(this.drag) : box;
    if (!chosen || chosen.to <= range.from || chosen.from >= range.to) return null;
    const [from, to] = [part(range, chosen.from), part(range, chosen.to)].map(clamp) as [
      number,
      number,
    ];
    const ask = !this.drag && !panel && this.askButton();
    const element = placed(h("div.selected", ask), from);
    element.style.width = `${100 * (to - from)}%`;
    element.classList.toggle("left", to > 0.7);
    return element;
  }

  private askButton(): HTMLElement {
    const ask = () => this.context.store.set({ panel: "changes" });
    return button("What changed here?", ask, { class: "ask", title: "What changed here? (w)" });
  }

  /** Dragging over the lines selects a time; a click stays the link's. */
  selectOn(lines: HTMLElement): void {
    lines.addEventListener("pointerdown", (event) => {
      const target = event.target as Element;
      if (event.button || event.pointerType === "touch" || target.closest(".ask")) return;
      const box = this.element.getBoundingClientRect();
      if (event.clientX < box.left || event.clientX > box.right || !box.width) return;
      this.dragFrom(event, lines);
    });
  }

  private dragFrom({ clientX, pointerId }: PointerEvent, lines: HTMLElement): void {
    const start = this.timeAt(clientX);
    const end = new AbortController();
    const { signal } = end;
    const move = (event: PointerEvent): void => {
      if (!this.drag && Math.abs(event.clientX - clientX) < LEAST_DRAG) return;
      if (!this.drag) lines.setPointerCapture(pointerId);
      this.drag = { start, now: this.timeAt(event.clientX) };
      this.draw();
    };
    const stop = (): void => {
      end.abort();
      const { drag } = this;
      this.drag = null;
      if (!drag) return;
      const time = onSteps(this.answer, dragged(drag));
      const box = timeAlone({ column: "", ...time, low: null, high: null });
      this.context.store.set({ box, live: false });
      this.draw();
    };
    lines.addEventListener("pointermove", move, { signal });
    lines.addEventListener("pointerup", stop, { signal });
    lines.addEventListener("pointercancel", stop, { signal });
    // The click that ends a drag follows no link.
    const follow = (event: Event) => event.preventDefault();
    lines.addEventListener(
      "pointerup",
      () => {
        if (!this.drag) return;
        lines.addEventListener("click", follow, { capture: true, once: true });
        setTimeout(() => lines.removeEventListener("click", follow, { capture: true }));
      },
      { capture: true, once: true },
    );
  }

  private timeAt(x: number): number {
    const { left, width } = this.element.getBoundingClientRect();
    const { from, to } = this.answer ?? this.context.range;
    return Math.round(from + clamp((x - left) / width) * (to - from));
  }
}

function dragged({ start, now }: { start: number; now: number }): Range {
  return { from: Math.min(start, now), to: Math.max(start, now) };
}

/** The lines have no more detail than their steps; a shorter stretch is meant as it is. */
function onSteps(answer: Overview | null, { from, to }: Range): Range {
  const step = answer?.step ?? 1;
  const [start, end] = [Math.round(from / step) * step, Math.round(to / step) * step];
  return end > start ? { from: start, to: end } : { from, to };
}

function part({ from, to }: Range, time: number): number {
  return (time - from) / (to - from);
}

function clamp(part: number): number {
  return Math.max(0, Math.min(1, part));
}

function placed<E extends HTMLElement>(element: E, part: number): E {
  element.style.left = `${100 * part}%`;
  return element;
}

interface Merged {
  time: number;
  message: string;
  hosts: string[];
}

/** A release is a marker of each of its hosts, at about the same time. */
function merged({ markers, from, to, step }: Overview): Merged[] {
  const found: Merged[] = [];
  for (const { time, message, host } of [...markers].sort((a, b) => a.time - b.time)) {
    if (time < from || time > to) continue;
    const same = found.find((one) => one.message === message && time - one.time <= step);
    if (same) same.hosts.push(host);
    else found.push({ time, message, hosts: [host] });
  }
  return found;
}
