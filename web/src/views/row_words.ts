// A stack on one line, and a histogram as a small picture.

import { frame, tells } from "../flame/frames";
import { label } from "../flame/paint";
import { h } from "../ui/dom";
import { svg } from "../ui/svg";
import { short } from "../ui/text";

/** The deepest frame that tells something, then where the program called, root last. */
export function tellingFrames(stack: string): string[] {
  const names = stack.split(";").reverse().filter(Boolean);
  const telling = names.filter(tells);
  const deepest = telling[0] ?? names[0];
  if (deepest === undefined) return [];
  const callers = telling.slice(1).filter((name) => frame(name).kind !== "kernel");
  const more = callers.length ? callers : telling.slice(1);
  return [deepest, ...more.slice(0, 2)];
}

export function stackLine(stack: string): HTMLElement {
  const [deepest = "", ...callers] = tellingFrames(stack);
  const rest = callers.map((name) => ` ← ${short(label(name), 60)}`).join("");
  return h("span", h("b", short(label(deepest), 80)), rest);
}

/** Counts by powers of two: a bar for each, from the first that has any. */
export function smallChart(counts: number[]): SVGElement {
  const [width, height] = [80, 14];
  const most = Math.max(1, ...counts);
  const step = width / Math.max(counts.length, 24);
  const bars = counts.map((count, k) => {
    const tall = count ? Math.max(1, (height * count) / most) : 0;
    const x = (k * step).toFixed(1);
    return svg("rect", { x, y: height - tall, width: (step - 0.6).toFixed(1), height: tall });
  });
  const said = `${counts.reduce((all, one) => all + one, 0)} in ${counts.filter(Boolean).length} sizes`;
  const attributes = { class: "smallchart", viewBox: `0 0 ${width} ${height}`, role: "img" };
  return svg("svg", { ...attributes, "aria-label": said }, ...bars);
}
