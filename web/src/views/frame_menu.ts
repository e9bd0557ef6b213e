// The menu of a frame, in every view that shows frames.

import { label } from "../flame/paint";
import type { State } from "../state/address";
import { stackColumn, type Context } from "../state/context";
import { HAS, LACKS, withFilter } from "../state/filters";
import { copyText } from "../ui/copy";
import type { MenuItem } from "../ui/popover";

interface Places {
  /** Further changes that a focus makes. */
  focus: Partial<State>;
  /** The zooms that do not outlast another filter. */
  filter: Partial<State>;
}

/** Returns the items that all views have: focus, filters, copy; `more` come before the last. */
export function frameItems(
  context: Context,
  frame: string,
  places: Places,
  more: MenuItem[] = [],
): MenuItem[] {
  const { store } = context;
  const column = stackColumn(context);
  const filter = (op: string) => () => {
    const filters = withFilter(store.state.filters, { column, op, value: frame });
    store.set({ filters, ...places.filter });
  };
  const focus = () => store.set({ ...places.focus, focus: frame, zoom: [] });
  return [
    { text: "Focus: only stacks through it", run: focus },
    { text: "Filter the rows by it", run: filter(HAS) },
    { text: "Leave out the rows with it", run: filter(LACKS) },
    ...more,
    { text: "Copy name", run: () => void copyText(label(frame)) },
  ];
}
