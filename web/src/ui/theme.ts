// Light, dark, or as the system says; kept on this machine, not in the address. Paper is light.

import { forgetColors, printing } from "./dom";

const ORDER = ["system", "light", "dark"] as const;
type Theme = (typeof ORDER)[number];

function stored(): Theme {
  const value = localStorage.getItem("theme") as Theme;
  return ORDER.includes(value) ? value : "system";
}

/** Canvases take their colours when they paint, so they follow a change by painting again. */
function applyTheme(): void {
  const theme = printing() ? "light" : stored();
  if (theme === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
  forgetColors();
  for (const part of document.querySelectorAll(".flame, .plot, .rows")) {
    part.dispatchEvent(new Event("repaint"));
  }
}

export function cycleTheme(): void {
  localStorage.setItem("theme", ORDER[(ORDER.indexOf(stored()) + 1) % ORDER.length]);
  applyTheme();
}

export function themeText(): string {
  return `Theme: ${stored()}`;
}

export function followTheme(): void {
  applyTheme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  matchMedia("print").addEventListener("change", (event) => print(event.matches));
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
}

/**
 * Paper has no frames to wait for: while this lasts whatever is drawn is drawn at once. Parts that
 * draw only their visible section measure it again when they paint.
 */
function print(on: boolean): void {
  document.documentElement.toggleAttribute("data-printing", on);
  applyTheme();
}
