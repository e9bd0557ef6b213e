// Copies text, also over plain HTTP, where the browser does not allow access to its clipboard.

import { h } from "./dom";
import { icon } from "./icons";
import { popover } from "./popover";

/** Returns false if the text could not be copied; it is then shown, selected, in a box. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    if (copySelected(text)) return true;
  }
  showSelected(text);
  return false;
}

/** The older way, which needs no secure page. */
function copySelected(text: string): boolean {
  const focused = document.activeElement as HTMLElement | null;
  const field = h("textarea.unseen", { "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } finally {
    field.remove();
    focused?.focus({ preventScroll: true });
  }
}

function showSelected(text: string): void {
  const field = h("textarea", { readonly: true, rows: 4, cols: 60, "aria-label": "Text to copy" });
  field.value = text;
  const hint = h("p", "The browser does not let this page copy. Press Ctrl+C:");
  popover([innerWidth / 2 - 240, innerHeight / 3], "dialog", "Copy", hint, field);
  field.select();
}

/** Says on the button that the text is copied, for a moment. */
export async function copyFrom(opener: HTMLElement, text: string): Promise<void> {
  if (!(await copyText(text)) || opener.classList.contains("copied")) return;
  const before = [...opener.childNodes];
  const name = opener.getAttribute("aria-label");
  opener.classList.add("copied");
  if (name) {
    opener.replaceChildren(icon("check"));
    opener.setAttribute("aria-label", "copied");
  } else opener.textContent = "✓ copied";
  setTimeout(() => {
    opener.classList.remove("copied");
    opener.replaceChildren(...before);
    if (name) opener.setAttribute("aria-label", name);
  }, 2000);
}
