// The keyboard. Single letters act only while graph, table or panel has the focus (WCAG 2.1.4).

import { VIEWS, type View } from "../state/address";
import type { Context } from "../state/context";
import { moveRange } from "./range_menu";
import { goTo } from "./types";

/** Elsewhere no frames are searched, and Ctrl+F is the browser's own. */
const SEARCHED: View[] = ["flame", "sandwich", "compare"];

export interface KeyEvents {
  /** The views that are there, in the order of their tabs. */
  views(): View[];
  field(): void;
  step(direction: 1 | -1): void;
}

/** The list is loaded when it is asked for. */
export function showKeys(): void {
  void import("./keys_list").then((list) => list.showKeys());
}

export function listenToKeys(context: Context, events: KeyEvents): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target as Element;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
    const { table, view } = context.store.state;
    const searched = table !== "" && SEARCHED.includes(view);
    const find = searched && (event.ctrlKey || event.metaKey) && event.key === "f";
    if (event.defaultPrevented || (typing && !find)) return;
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    const run = find || (!modified && event.key === "/") ? events.field : null;
    const inside = target.closest(".work, .panel, .plots, .home") !== null;
    const act = run ?? (modified ? null : action(context, events, event.key, inside));
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function action(
  context: Context,
  events: KeyEvents,
  key: string,
  inside: boolean,
): (() => void) | null {
  if (key === "?") return showKeys;
  if (!inside) return null;
  const { store } = context;
  const { state } = store;
  const view = /^[1-6]$/.test(key) && state.table ? events.views()[Number(key) - 1] : undefined;
  if (view && VIEWS.includes(view)) return () => store.set({ view });
  const actions: Record<string, () => void> = {
    g: () => goTo(context, ""),
    w: () => store.set({ panel: state.panel ? "" : "changes" }),
    n: () => events.step(1),
    N: () => events.step(-1),
    x: () => store.set({ swap: !state.swap }),
    "[": () => moveRange(context, -0.5),
    "]": () => moveRange(context, 0.5),
    "+": () => moveRange(context, 0, 0.5),
    "-": () => moveRange(context, 0, 2),
  };
  return actions[key] ?? null;
}
