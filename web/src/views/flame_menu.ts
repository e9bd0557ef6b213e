// The menu of a box of the flame graph, and of a line of the table beside it.

import { grouping } from "../flame/flame_query";
import { OTHERS } from "../flame/frames";
import { label } from "../flame/paint";
import { column as columnNamed, type Context } from "../state/context";
import { oneOf, withFilter } from "../state/filters";
import { copyText } from "../ui/copy";
import { menu, type MenuItem } from "../ui/popover";
import { short } from "../ui/text";
import { frameItems } from "./frame_menu";

/** A box; that of level 0 is the whole. */
export interface Box {
  name: string;
  level: number;
  /** Not a frame, but what the graph is grouped by. */
  grouped: boolean;
  /** Frames, joined by semicolons. */
  stack: string;
  amount: string;
  zoom(): void;
}

export function ofNode(context: Context, at: [number, number], box: Box): void {
  const { name, level, stack, amount } = box;
  const zoom = { text: "Zoom into it", key: "↵", run: box.zoom };
  const copy = { text: "Copy stack", run: () => void copyText(stack) };
  const items = level && name !== OTHERS ? boxItems(context, box) : [];
  menu(at, [zoom, ...items, copy], [short(label(name), 60), amount].join(" · "));
}

function boxItems(context: Context, { name, level, grouped }: Box): MenuItem[] {
  if (!grouped) return nameItems(context, name);
  const by = grouping(context).split(",").filter(Boolean);
  const { store } = context;
  const { leafFirst } = store.state;
  const column = by[leafFirst ? 0 : level - 1];
  if (!column || (leafFirst && by.length > 1)) return [];
  const operators = columnNamed(context, column)?.operators ?? [];
  const only = oneOf(column, name, operators);
  const text = `Only ${short(label(name), 80) || "(empty)"}`;
  return [
    { text, run: () => store.set({ filters: withFilter(store.state.filters, only), zoom: [] }) },
  ];
}

export function ofName(context: Context, at: [number, number], name: string): void {
  if (name !== OTHERS) menu(at, nameItems(context, name), short(label(name)));
}

function nameItems(context: Context, name: string): MenuItem[] {
  const { store } = context;
  const { collapse } = store.state;
  const show = () => store.set({ frame: name, search: "" }, "replace");
  return frameItems(context, name, [
    { text: "Show in the table", run: show },
    {
      text: "Collapse recursion",
      checked: collapse,
      run: () => store.set({ collapse: !collapse, zoom: [] }),
    },
  ]);
}
