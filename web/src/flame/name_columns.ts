// The columns of the table beside a flame graph, of one side.

import { h } from "../ui/dom";
import { percent } from "../ui/format";
import { bare, word, type Measure } from "../ui/rate";
import { square } from "../ui/swatch";
import type { TableColumn } from "../ui/table";
import { short } from "../ui/text";
import { kindFill } from "./colors";
import { frame } from "./frames";
import { background } from "./legend";
import type { NameRow, Part } from "./name_lines";
import { label } from "./paint";

export function columnsOf(
  { source, tree, root, all }: Part,
  rows: NameRow[],
): TableColumn<NameRow>[] {
  const whole = tree.sides[0].value[root] ?? 0;
  return plainColumns(source.measure, all, whole, tellsSelf(rows, whole));
}

/** Frames in which a thread leaves the CPU. */
const SWITCH = /^(?:__|preempt_|io_)?schedule(?:_\w+)?_\[k\]$/;

/** While threads wait, the frame on top is nearly always the one that switches. */
function tellsSelf(rows: NameRow[], whole: number): boolean {
  const switching = rows.filter(({ name }) => SWITCH.test(name));
  return switching.reduce((all, { self }) => all + self[0], 0) < 0.5 * whole;
}

export function nameColumn(): TableColumn<NameRow> {
  return {
    key: "frame",
    title: "Frame",
    sort: (row) => row.label,
    cell: ({ name, label: text, above }) => {
      const color = square(background(kindFill(frame(name).kind)));
      const title = [...above.map(label), text].join(" › ");
      const shown = h("span.text", h("bdi", short(text)));
      const more = above.length ? h("span.more", `+${above.length}`) : null;
      const named = h("button.name", { type: "button", title, "aria-label": text }, color, shown);
      return h("span.frame", named, more);
    },
  };
}

function shareColumn(whole: number): TableColumn<NameRow> {
  return {
    key: "share",
    title: "share",
    style: "narrow",
    cell: ({ total: [value] }) => {
      const bar = h("i");
      bar.style.width = `${whole ? Math.min(100, (100 * value) / whole) : 0}%`;
      return h("span.sharebar", { title: percent(value, whole) }, bar);
    },
  };
}

function plainColumns(
  measure: Measure,
  all: number,
  whole: number,
  withSelf: boolean,
): TableColumn<NameRow>[] {
  const column = (key: "self" | "total", title: string, help: string): TableColumn<NameRow> => ({
    key,
    title,
    help,
    numeric: true,
    sort: (row) => row[key][0],
    cell: ({ [key]: [value] }) => (value ? bare(value, measure) : "–"),
    tip: ({ [key]: [value] }) => `${percent(value, all)} of all`,
  });
  const unit = measure.rate ? word(measure) : "total";
  const self = column("self", "self", "while the frame was on top of the stack");
  return [
    nameColumn(),
    ...(withSelf ? [self] : []),
    shareColumn(whole),
    column("total", unit, "in the frame and in the frames that it called"),
  ];
}
