// Menus and small forms that hang from a button. Escape and a click elsewhere close them.

import { button, h, type Attributes, type Child } from "./dom";

type Kind = "dialog" | "menu";

/** A place in the window, or the button that opens it. */
type Place = [number, number] | HTMLElement;

export function closePopover(): void {
  const open = document.querySelector<HTMLElement>(".popover:popover-open");
  open?.hidePopover();
  open?.remove();
}

/** The page does not see an Escape that closes a popover. */
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "Escape" || !document.querySelector(".popover:popover-open")) return;
    event.preventDefault();
    event.stopPropagation();
    closePopover();
  },
  { capture: true },
);

/** Opens a menu in place of the browser's: once the button is released, which would close it. */
export function openInPlace(event: MouseEvent, open: () => void): void {
  event.preventDefault();
  if (event.buttons) addEventListener("pointerup", () => setTimeout(open), { once: true });
  else open();
}

/** A button that opens a popover of this kind, which hangs from it. */
export function opener(
  text: string,
  kind: Kind,
  open: (opener: HTMLElement) => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  const popup = { "aria-haspopup": kind, "aria-expanded": "false" };
  const made = button(text, () => open(made), { ...popup, ...attributes });
  return made;
}

/** Under its opener: from its left end, or up to its right end in the right half of the window. */
function place(element: HTMLElement, at: Place): void {
  const { offsetWidth: width, offsetHeight: height } = element;
  let [x, y] = Array.isArray(at) ? at : [0, 0];
  if (at instanceof HTMLElement) {
    const { left, right, bottom } = at.getBoundingClientRect();
    [x, y] = [left > innerWidth / 2 ? right - width : left, bottom + 4];
  }
  const left = Math.max(4, Math.min(x, innerWidth - width - 4));
  const top = Math.max(4, Math.min(y, innerHeight - height - 4));
  element.style.transform = `translate(${left}px, ${top}px)`;
}

/** Shows the content over the page, with the focus in it; the opener gets the focus back. */
export function popover(at: Place, kind: Kind, label: string, ...content: Child[]): HTMLElement {
  const from = at instanceof HTMLElement ? at : null;
  const element = h(
    `div.popover.${kind}`,
    {
      popover: "auto",
      role: kind,
      "aria-label": label,
      onbeforetoggle: ({ newState }: ToggleEvent) =>
        from?.setAttribute("aria-expanded", String(newState === "open")),
      ontoggle: ({ newState }: ToggleEvent) => {
        if (newState === "closed") element.remove();
      },
    },
    ...content,
  );
  document.body.append(element);
  from?.focus({ preventScroll: true });
  element.showPopover();
  place(element, at);
  if (!element.contains(document.activeElement)) {
    element.querySelector<HTMLElement>("input, select, button, textarea")?.focus();
  }
  return element;
}

export interface MenuItem {
  text: string;
  run: () => void;
  checked?: boolean;
  /** The key that does the same while the chart has the focus. */
  key?: string;
  /** A line before it: another group of items. */
  rule?: boolean;
}

export function menu(at: Place, items: MenuItem[], label: string): void {
  const buttons = items.map(({ text, run, checked, key, rule }) => {
    const choose = () => {
      closePopover();
      run();
    };
    const made = button(text, choose, {
      role: checked === undefined ? "menuitem" : "menuitemcheckbox",
      "aria-checked": checked === undefined ? undefined : String(checked),
      "aria-keyshortcuts": key,
    });
    if (key) made.append(h("kbd", { "aria-hidden": "true" }, key));
    if (rule) made.classList.add("rule");
    return made;
  });
  menuKeys(popover(at, "menu", label, ...buttons), buttons);
}

/** The arrows go through the lines of a menu. */
export function menuKeys(element: HTMLElement, lines: HTMLElement[]): void {
  element.addEventListener("keydown", (event) => {
    const at = lines.indexOf(document.activeElement as HTMLElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const next = to[event.key];
    if (next === undefined) return;
    event.preventDefault();
    lines.at(next % lines.length)?.focus();
  });
}
