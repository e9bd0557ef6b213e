// The menu of a frame, in every view that shows frames.

import { label } from "../flame/paint";
import type { State } from "../state/address";
import { stackColumn, type Context } from "../state/context";
import { HAS, LACKS, withFilter } from "../state/filters";
import { copyText } from "../ui/copy";
import type { MenuItem } from "../ui/popover";

/** Returns the items that all views have: focus, filters, copy; `more` come before the last. */
export function frameItems(context: Context, frame: string, more: MenuItem[] = []): MenuItem[] {
  const { store } = context;
  const column = stackColumn(context);
  const halves = store.state.view === "sandwich";
  const outlived = halves ? { callers: [], callees: [] } : { zoom: [] };
  const filter = (op: string) => () => {
    const filters = withFilter(store.state.filters, { column, op, value: frame });
    store.set({ filters, ...outlived });
  };
  const whole: Partial<State> = halves ? { view: "flame" } : {};
  const focus = () => store.set({ ...whole, focus: frame, zoom: [] });
  return [
    { text: "Focus: only stacks through it", run: focus },
    { text: "Filter the rows by it", run: filter(HAS) },
    { text: "Leave out the rows with it", run: filter(LACKS) },
    ...more,
    { text: "Copy name", run: () => void copyText(label(frame)) },
  ];
}
