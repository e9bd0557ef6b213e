// Menus and small forms that hang from a button. Escape and a click elsewhere close them.

import { h, type Child } from "./dom";

interface Open {
  element: HTMLElement;
  opener: HTMLElement | null;
  /** The element that had the focus before, and gets it back afterwards. */
  before: HTMLElement | null;
}

let open: Open | null = null;

export function closePopover(): void {
  if (!open) return;
  const { element, opener, before } = open;
  open = null;
  const focused = element.contains(document.activeElement);
  element.remove();
  opener?.setAttribute("aria-expanded", "false");
  const back = opener?.isConnected ? opener : before;
  if (focused && back?.isConnected) back.focus({ preventScroll: true });
}

function place(element: HTMLElement, x: number, y: number): void {
  const { offsetWidth: width, offsetHeight: height } = element;
  const left = Math.max(4, Math.min(x, innerWidth - width - 4));
  const top = Math.max(4, Math.min(y, innerHeight - height - 4));
  element.style.transform = `translate(${left}px, ${top}px)`;
}

export function popoverAt(
  x: number,
  y: number,
  content: Child[],
  options: { role: string; label: string; opener?: HTMLElement },
): HTMLElement {
  closePopover();
  const before = document.activeElement as HTMLElement | null;
  const element = h("div.popover", { role: options.role, "aria-label": options.label });
  for (const child of content) if (child) element.append(child);
  document.body.append(element);
  open = { element, opener: options.opener ?? null, before };
  options.opener?.setAttribute("aria-expanded", "true");
  place(element, x, y);
  const first =
    element.querySelector<HTMLElement>("[autofocus]") ??
    element.querySelector<HTMLElement>("input, select, button, textarea");
  first?.focus();
  return element;
}

export function popoverUnder(
  opener: HTMLElement,
  content: Child[],
  options: { role: string; label: string },
): HTMLElement {
  const box = opener.getBoundingClientRect();
  return popoverAt(box.left, box.bottom + 4, content, { ...options, opener });
}

export interface MenuItem {
  text: string;
  run: () => void;
  checked?: boolean;
}

export function menu(x: number, y: number, items: MenuItem[], label: string, opener?: HTMLElement) {
  const buttons = items.map((item) =>
    h(
      "button",
      {
        type: "button",
        role: item.checked === undefined ? "menuitem" : "menuitemcheckbox",
        "aria-checked": item.checked === undefined ? undefined : String(item.checked),
        onclick: () => {
          closePopover();
          item.run();
        },
      },
      item.text,
    ),
  );
  const options = { role: "menu", label, ...(opener ? { opener } : {}) };
  const element = popoverAt(x, y, buttons, options);
  element.classList.add("menu");
  element.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    buttons.at((at + step) % buttons.length)?.focus();
  });
}

export function listenForDismissal(): void {
  document.addEventListener("pointerdown", (event) => {
    if (open && !open.element.contains(event.target as Node)) {
      if (open.opener?.contains(event.target as Node)) return;
      closePopover();
    }
  });
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !open) return;
      closePopover();
      event.stopPropagation();
      event.preventDefault();
    },
    true,
  );
}
