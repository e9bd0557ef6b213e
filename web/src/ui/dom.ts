// Element making. Text only ever enters through textContent, so a name cannot become markup.

import { readable, short } from "./text";

export type Attributes = Record<
  string,
  string | number | boolean | ((event: never) => void) | undefined
>;
export type Child = Node | string | null | undefined | false;

/** Attributes that are read by people. */
const SHOWN = new Set(["title", "aria-label"]);

type Tags = HTMLElementTagNameMap;
type Made<S> = S extends keyof Tags ? Tags[S] : S extends `${infer T}.${string}` ? Made<T> : never;

/**
 * Makes an element, as `h("p.hint", { title }, "text")`: a tag with classes, attributes if it has any,
 * and children. `on…` attributes are listeners, booleans toggle, the rest are attributes.
 */
export function h<S extends string>(
  selector: S,
  first?: Attributes | Child,
  ...children: Child[]
): Made<S> {
  const [tag = "", ...classes] = selector.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  const attributes = isChild(first) ? {} : first;
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(key.slice(2), value as (event: Event) => void);
    } else if (value === true) {
      element.setAttribute(key, "");
    } else if (value !== false && value !== undefined) {
      element.setAttribute(key, SHOWN.has(key) ? short(readable(String(value)), 2000) : `${value}`);
    }
  }
  append(element, attributes === first ? children : [first as Child, ...children]);
  return element as Made<S>;
}

function isChild(first: Attributes | Child): first is Child {
  return !first || typeof first !== "object" || first instanceof Node;
}

export function append(parent: Element, children: Child[]): void {
  for (const child of children) {
    if (typeof child === "string") parent.append(readable(child));
    else if (child) parent.append(child);
  }
}

const FOCUSABLE = "button, select, input, [tabindex]";

/** The focus stays with the control of the same name, or with the one in its place. */
export function replace(parent: Element, ...children: Child[]): void {
  const active = document.activeElement as HTMLElement | null;
  const inside = active !== null && active !== parent && parent.contains(active);
  const at = inside ? controls(parent).indexOf(active) : -1;
  parent.replaceChildren();
  append(parent, children);
  if (!inside) return;
  const made = controls(parent);
  const same = made.find((one) => nameOf(one) === nameOf(active));
  (same ?? made[Math.min(at, made.length - 1)])?.focus({ preventScroll: true });
}

function controls(parent: Element): HTMLElement[] {
  return [...parent.querySelectorAll<HTMLElement>(FOCUSABLE)];
}

function nameOf(element: Element): string {
  return element.getAttribute("aria-label") ?? element.textContent ?? "";
}

export function button(
  label: string,
  onclick: (event: MouseEvent) => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  return h("button", { type: "button", onclick, ...attributes }, label);
}

/** A labelled select that is made once, so that an open list and the focus outlast an update. */
export class Select {
  readonly element: HTMLSelectElement;
  private options = "";

  constructor(label: string, onchange: (value: string) => void) {
    const change = () => onchange(this.element.value);
    this.element = h("select", { "aria-label": label, title: label, onchange: change });
  }

  get value(): string {
    return this.element.value;
  }

  /** `options` are [value, text]. */
  update(options: [string, string][], value: string): void {
    const wanted = JSON.stringify(options);
    if (wanted !== this.options) {
      this.options = wanted;
      this.element.replaceChildren(
        ...options.map(([key, text]) => h("option", { value: key }, text)),
      );
    }
    if (this.element.value !== value) this.element.value = value;
  }
}

let colors = new Map<string, string>();

/** A colour of the style sheet; only where it is used is it known which theme's it is. */
export function cssColor(name: string): string {
  let color = colors.get(name);
  if (color === undefined) {
    const probe = h("span", { hidden: true });
    probe.style.forcedColorAdjust = "none"; // as canvases are
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    color = getComputedStyle(probe).color;
    probe.remove();
    colors.set(name, color);
  }
  return color;
}

/** When the theme changes. */
export function forgetColors(): void {
  colors = new Map();
}

/** An object that is another one after the theme has changed: for what is made of its colours. */
export function themeColors(): object {
  return colors;
}

export function printing(): boolean {
  return document.documentElement.hasAttribute("data-printing");
}

/** Makes calls run once however often they are made before their time; at once when that is `now`. */
function gathered(wait: (go: () => void) => void, now: () => boolean) {
  return (run: () => void) => {
    let pending = false;
    return (): void => {
      if (now()) return run();
      if (pending) return;
      pending = true;
      wait(() => {
        pending = false;
        run();
      });
    };
  };
}

/** Calls `run` at most once per frame, or at once for paper. */
export const perFrame = gathered(requestAnimationFrame, printing);

/** Once the next picture is on the screen; at once where there will be none. */
export const afterFrame = gathered(
  (go) => requestAnimationFrame(() => setTimeout(go)),
  () => document.hidden,
);

/**
 * As `perFrame`, but the first call of a frame runs as soon as the code that calls has come to its
 * end: the time until the browser wants the frame is enough to draw it.
 */
export function soon(run: () => void): () => void {
  let asked = false;
  let free = true;
  const go = (): void => {
    asked = false;
    free = false;
    requestAnimationFrame(() => {
      free = true;
      if (asked) go();
    });
    run();
  };
  return () => {
    if (printing()) return run();
    if (!asked && free) queueMicrotask(go);
    asked = true;
  };
}

export function debounce<A extends unknown[]>(ms: number, run: (...args: A) => void) {
  let timer = 0;
  return (...args: A): void => {
    clearTimeout(timer);
    timer = window.setTimeout(() => run(...args), ms);
  };
}

export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
