// The table beside a flame graph: self and total per frame name.

import { h } from "../ui/dom";
import { percent, quantity } from "../ui/format";
import { memo } from "../ui/memo";
import { square } from "../ui/swatch";
import { short } from "../ui/text";
import { DataTable, type TableColumn } from "../ui/table";
import type { Store } from "../state/address";
import { kindColor } from "./colors";
import { frame } from "./frames";
import { label } from "./paint";
import { total, totalsByName, type Tree } from "./tree";

export interface NameRow {
  id: number;
  name: string;
  label: string;
  self: number[];
  total: number[];
}

export interface NameEvents {
  pick(name: string): void;
  menu(name: string, x: number, y: number): void;
  marked(name: string): boolean;
}

export class NameTable {
  private readonly table: DataTable<NameRow>;
  private rows: NameRow[] = [];
  private columns: TableColumn<NameRow>[] = [];
  private hits: Uint8Array | null = null;
  private keep: ((row: NameRow) => boolean) | null = null;

  constructor(
    private readonly store: Store,
    events: NameEvents,
  ) {
    this.table = new DataTable<NameRow>("Frames", {
      order: (order) => store.set({ order }, "replace"),
      pick: (row) => events.pick(row.name),
      menu: (row, x, y) => events.menu(row.name, x, y),
      marked: (row) => events.marked(row.name),
      key: (row) => row.name,
    });
  }

  get element(): HTMLElement {
    return this.table.element;
  }

  /** `scale` brings the two sides of a comparison to the same size; shares are of `all`. */
  setTree(
    tree: Tree,
    unit: string,
    groups: number,
    scale: [number, number] | null,
    all = total(tree),
  ): void {
    const sums = totalsByName(tree, groups);
    this.rows = [];
    tree.names.forEach((name, id) => {
      const totals = sums.total.map((side) => side[id]);
      if (!totals[0]) return;
      const self = sums.self.map((side) => side[id]);
      this.rows.push({ id, name, label: label(name), self, total: totals });
    });
    this.columns = scale ? changeColumns(unit, scale) : plainColumns(unit, all);
  }

  /** The frames that match, if anything is searched for; `of` names the tree. */
  show(hits: Uint8Array | null, of: string): void {
    const { order, search, frame } = this.store.state;
    const known = this.columns.some((column) => order.replace("-", "") === column.key);
    if (hits !== this.hits) {
      this.hits = hits;
      this.keep = hits ? (row) => hits[row.id] === 1 : null;
    }
    this.table.show({
      rows: this.rows,
      columns: this.columns,
      order: known ? order : `-${this.columns[this.columns.length - 1].key}`,
      keep: this.keep,
      of: `${of} ${search}`,
    });
    this.revealChosen(frame);
  }

  private readonly revealChosen = memo((frame: string) => {
    if (frame) this.reveal(frame);
  });

  redraw(): void {
    this.table.redraw();
  }

  reveal(name: string): void {
    this.table.reveal((row) => row.name === name);
  }
}

function nameColumn(): TableColumn<NameRow> {
  return {
    key: "frame",
    title: "Frame",
    sort: (row) => row.label,
    cell: (row) => {
      const color = square(kindColor(frame(row.name).kind));
      return h("button.name", { type: "button", title: row.name }, color, short(row.label));
    },
  };
}

function plainColumns(unit: string, all: number): TableColumn<NameRow>[] {
  const column = (key: "self" | "total", title: string, help: string): TableColumn<NameRow> => ({
    key,
    title,
    help,
    numeric: true,
    sort: (row) => row[key][0],
    bar: (row) => row[key][0] / all,
    cell: ({ [key]: [value] }) => {
      const share = { title: `${percent(value, all)} of all` };
      return h("span", share, value ? quantity(value, unit) : "–");
    },
  });
  return [
    nameColumn(),
    column("self", "Self", "while the frame was on top of the stack"),
    column("total", "Total", "in the frame and what it called"),
  ];
}

function changeColumns(unit: string, scale: [number, number]): TableColumn<NameRow>[] {
  const shares = scale[0] !== 1 || scale[1] !== 1;
  const side = (value: number, s: number) => {
    const share = percent(value * scale[s - 1], 1);
    const amount = quantity(value, unit);
    return shares ? h("span", { title: amount }, share) : amount;
  };
  const column = (key: string, title: string, s: number): TableColumn<NameRow> => ({
    key,
    title,
    numeric: true,
    sort: (row) => row.total[s] * scale[s - 1],
    cell: (row) => (row.total[s] ? side(row.total[s], s) : "–"),
  });
  const change = (row: NameRow) => row.total[2] * scale[1] - row.total[1] * scale[0];
  return [
    nameColumn(),
    column("before", "Before", 1),
    column("after", "After", 2),
    {
      key: "change",
      title: "Change",
      help: "after less before, as a share of the whole when relative",
      numeric: true,
      sort: change,
      cell: (row) => changeText(change(row), unit, scale),
    },
  ];
}

export function changeText(change: number, unit: string, scale: [number, number]): string {
  const sign = change > 0 ? "+" : change < 0 ? "−" : "";
  const size = Math.abs(change);
  if (scale[0] === 1 && scale[1] === 1) return `${sign}${quantity(size, unit)}`;
  return `${sign}${(100 * size).toFixed(2)} pp`;
}
