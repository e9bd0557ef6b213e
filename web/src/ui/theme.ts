// Light, dark, or as the system says; kept on this machine, not in the address. Paper is light.

import { forgetColors, printing } from "./dom";

const ORDER = ["system", "light", "dark"] as const;
type Theme = (typeof ORDER)[number];
const listeners: (() => void)[] = [];

function stored(): Theme {
  const value = localStorage.getItem("theme") as Theme;
  return ORDER.includes(value) ? value : "system";
}

export function applyTheme(): void {
  const theme = printing() ? "light" : stored();
  if (theme === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
  forgetColors();
  for (const listener of listeners) listener();
}

export function cycleTheme(): void {
  localStorage.setItem("theme", ORDER[(ORDER.indexOf(stored()) + 1) % ORDER.length]);
  applyTheme();
}

export function themeText(): string {
  return `Theme: ${stored()}`;
}

/** Canvases take their colours when they paint, so they follow a change by painting again. */
export function onTheme(listener: () => void): void {
  listeners.push(listener);
  if (listeners.length > 1) return;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  matchMedia("print").addEventListener("change", (event) => print(event.matches));
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
}

/** Paper has no frames to wait for: while this lasts whatever is drawn is drawn at once. */
function print(on: boolean): void {
  document.documentElement.toggleAttribute("data-printing", on);
  applyTheme();
  // Parts that draw only their visible section measure it again.
  for (const part of document.querySelectorAll(".flame, .rows")) {
    part.dispatchEvent(new Event("scroll"));
  }
}
