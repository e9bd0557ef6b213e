// One finding: its sentence, its figures before and now beside the usual, and where it can be seen.

import { button, h } from "../ui/dom";
import { times } from "../ui/format";
import { stretched, svg } from "../ui/svg";
import { short } from "../ui/text";
import { sentence } from "./words";
import type { Evidence, Finding } from "../../generated/types";

const MOST_EVIDENCE = 4;

/** `open` shows what a link of the answer says, without loading the page again. */
export interface Opening {
  open(link: string): void;
}

/** A server's link to the page, below the page's own path: a proxy may put one before it. */
export function below(link: string): string {
  return link.replace(/^\//, "./");
}

/** A link that a click follows within the page; other clicks are the browser's. */
export function inPage(link: string, text: string, opening: Opening): HTMLAnchorElement {
  const follow = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    event.stopPropagation();
    opening.open(link);
  };
  return h("a.lnk", { href: below(link), onclick: follow }, text);
}

export function findingLine(one: Finding, rank: number, opening: Opening): HTMLElement {
  const link = inPage(one.link, `${one.prettyname} →`, opening);
  link.classList.add("view");
  link.setAttribute("aria-label", `${one.prettyname} →, line ${rank}`);
  const picked = () => {
    if (getSelection()?.isCollapsed ?? true) opening.open(one.link);
  };
  return h(
    rank === 1 ? "li.finding.first" : "li.finding",
    { onclick: picked },
    h("span.rank", String(rank)),
    h(
      "div",
      h("p", ...sentence(one.sentence)),
      h("p.sub", h("span", weight(one)), link),
      one.evidence.length > 0 && evidence(one.evidence, opening),
    ),
    sizes(one),
  );
}

/** How large the change is, and how much of what its host does; more than all says nothing. */
function weight(one: Finding): string {
  const part = one.part <= 1 ? percent(one.part) : "";
  return [change(one), part && `${part} of its host's total`, !one.lasting && "in bursts"]
    .filter(Boolean)
    .join(" · ");
}

export function change(one: Finding): string {
  if (one.change === "new" || one.change === "gone" || one.factor === null) return one.change;
  return times(one.factor);
}

export function percent(part: number): string {
  return part >= 0.005 ? `${Math.round(part * 100)} %` : "";
}

function evidence(lines: Evidence[], opening: Opening): HTMLElement {
  const items = lines.map((one) =>
    h("li", `${short(one.text, 200)} `, inPage(one.link, `${one.prettyname} →`, opening)),
  );
  const rest = items.slice(MOST_EVIDENCE);
  for (const item of rest) item.hidden = true;
  return h("ul.evidence", ...items, rest.length > 0 && h("li", theRest(rest)));
}

/** A button that shows them in its place. */
function theRest(hidden: HTMLElement[]): HTMLElement {
  const show = button(
    `and ${hidden.length} more that agree`,
    (event) => {
      event.stopPropagation();
      for (const item of hidden) item.hidden = false;
      show.parentElement?.remove();
      hidden[0]?.querySelector("a")?.focus();
    },
    { class: "lnk" },
  );
  return show;
}

/** Two bars on one scale from 0; the text says the same. */
function sizes(one: Finding): HTMLElement {
  const most = Math.max(one.before, one.now, one.high, Number.MIN_VALUE) / 0.94;
  const less = one.now < one.before ? " less" : "";
  const kind = one.unusual ? `here${less}` : "calm";
  return h(
    "div.sizes",
    { "aria-hidden": "true" },
    bar(one, one.before, most, "before"),
    h("span", one.before_text),
    bar(one, one.now, most, kind),
    h("span.now", one.now_text),
  );
}

function bar(one: Finding, value: number, most: number, kind: string): SVGElement {
  const low = (100 * Math.max(0, one.low)) / most;
  const high = (100 * Math.max(0, one.high)) / most;
  const width = Math.max(0.8, (100 * value) / most);
  return stretched(
    100,
    13,
    svg("rect", { class: "usual", x: low, width: Math.max(1.5, high - low), height: 13 }),
    svg("rect", { class: kind, y: 3, width, height: 7 }),
  );
}
