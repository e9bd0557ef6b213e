// The parts of a legend: a colour with its meaning, and a ramp of colours.

import { h } from "./dom";

export function square(color: string): HTMLElement {
  const made = h("i.swatch");
  made.style.background = color;
  return made;
}

export function swatch(color: string, text: string): HTMLElement {
  return h("span", square(color), text);
}

export function ramp(colors: string[], from: string, to: string): HTMLElement {
  const bar = square(`linear-gradient(to right, ${colors.join(", ")})`);
  bar.classList.add("ramp");
  return h("span", `${from} `, bar, to);
}
