// The menu of a frame, in every view that shows frames, and the letters that do the same.

import { label } from "../flame/paint";
import type { State } from "../state/address";
import { columnsWith, category, stackColumn, type Context } from "../state/context";
import { HAS, LACKS, withFilter } from "../state/filters";
import { copyText } from "../ui/copy";
import type { MenuItem } from "../ui/popover";
import type { Letter } from "./letters";

/** The zooms that no longer fit after a change of the stacks that are left. */
const WHOLE: Partial<State> = { zoom: [], callers: [], callees: [] };

function filtered(context: Context, op: string, frame: string): Partial<State> {
  const { filters } = context.store.state;
  const filter = { column: stackColumn(context), op, value: frame };
  return { ...WHOLE, filters: withFilter(filters, filter) };
}

type Act = (context: Context, frame: string) => void;

/** Each as an item of the menu, with its letter. */
const ACTS: Record<Letter, { text: string; act: Act }> = {
  o: {
    text: "Only stacks through it",
    act: (context, frame) => context.store.set(filtered(context, HAS, frame)),
  },
  h: {
    text: "Hide stacks through it",
    act: (context, frame) => context.store.set(filtered(context, LACKS, frame)),
  },
  s: {
    text: "Callers and callees",
    act: ({ store }, frame) => store.set({ ...WHOLE, view: "sandwich", frame }),
  },
  w: {
    text: "What changed in it?",
    act: (context, frame) =>
      context.store.set({ ...filtered(context, HAS, frame), panel: "changes" }),
  },
  c: { text: "Copy name", act: (_, frame) => void copyText(label(frame)) },
};

/** Does what a letter stands for. */
export function act(context: Context, frame: string, letter: Letter): void {
  ACTS[letter].act(context, frame);
}

/** Returns the items that all views have; `more` come before those that copy. */
export function frameItems(context: Context, frame: string, more: MenuItem[] = []): MenuItem[] {
  const { store } = context;
  const item = (letter: Letter): MenuItem => {
    const { text, act } = ACTS[letter];
    return { text, key: letter, run: () => act(context, frame) };
  };
  const through = (state: Partial<State>) => () =>
    store.set({ ...filtered(context, HAS, frame), ...state });
  const focus = () => store.set({ ...WHOLE, view: "flame", focus: frame });
  const host = columnsWith(category(context), "identity")[0]?.name ?? "";
  return [
    item("o"),
    item("h"),
    { text: "Focus: its part of everything", run: focus },
    ...(store.state.view === "sandwich" ? [] : [item("s")]),
    { ...item("w"), rule: true },
    { text: "Compare it with before", run: through({ view: "compare" }) },
    { text: "Its rows", run: through({ view: "rows" }) },
    ...(host ? [{ text: "Hosts by this frame", run: through({ group: host }) }] : []),
    ...more,
    { ...item("c"), rule: true },
  ];
}
