// Folding an instrument down to its head, to give the graph its room.

import { button } from "./dom";

/** Remembered on this machine, not in the address: it is about the screen, not the data. */
export function foldButton(section: HTMLElement, name: string, first: boolean): HTMLButtonElement {
  const key = `folded.${name.toLowerCase()}`;
  const one = button("", () => {
    const folded = !section.classList.contains("folded");
    localStorage.setItem(key, folded ? "1" : "0");
    draw(folded);
  });
  const draw = (folded: boolean) => {
    section.classList.toggle("folded", folded);
    one.textContent = folded ? "▸" : "▾";
    one.setAttribute("aria-expanded", String(!folded));
    one.title = folded ? `Show the ${name.toLowerCase()}` : `Fold the ${name.toLowerCase()}`;
    one.setAttribute("aria-label", one.title);
  };
  one.className = "fold";
  const kept = localStorage.getItem(key);
  draw(kept === null ? first : kept === "1");
  return one;
}
