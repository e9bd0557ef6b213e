// The table beside a flame graph: self and total per frame, of the part of the tree that is shown.

import { button, debounce, download, h, replace } from "../ui/dom";
import { percent } from "../ui/format";
import { memo } from "../ui/memo";
import { bare, perTime, word, type Measure } from "../ui/rate";
import { square } from "../ui/swatch";
import { short } from "../ui/text";
import { DataTable, type TableColumn } from "../ui/table";
import type { Store } from "../state/address";
import { kindFill } from "./colors";
import type { Sides, Source } from "./flame_query";
import { frame, KIND_TEXT } from "./frames";
import { background } from "./legend";
import { label } from "./paint";
import { ratioText } from "./ratio";
import { chains, sumsOf } from "./sums";
import type { Tree } from "./tree";

/** A frame, or the deepest of a chain of frames that always have the same. */
export interface NameRow {
  id: number;
  name: string;
  label: string;
  /** Its callers in the chain, the outermost first. */
  above: string[];
  self: number[];
  total: number[];
}

export interface NameEvents {
  pick(name: string): void;
  menu(name: string, x: number, y: number): void;
  marked(name: string): boolean;
}

/** More of one side alone than a person reads. */
const MOST_LISTED = 6;

/** The part of a tree that the table sums. */
export interface Part {
  source: Source;
  tree: Tree;
  /** The node that is zoomed into. */
  root: number;
  /** The value that shares are of. */
  all: number;
}

export class NameTable {
  readonly element: HTMLElement;
  private readonly table: DataTable<NameRow>;
  private readonly lists = h("div.lists");
  private readonly input: HTMLInputElement;
  private part: Part | null = null;
  /** A line for each chain, and one for each frame. */
  private lines: NameRow[] = [];
  private single: NameRow[] = [];
  /** The lines of a comparison that both sides have. */
  private both: NameRow[] = [];
  private columns: TableColumn<NameRow>[] = [];
  private hits: Uint8Array | null = null;
  private of = "";

  constructor(
    private readonly store: Store,
    private readonly events: NameEvents,
  ) {
    this.table = new DataTable<NameRow>("Frames", {
      order: (order) => store.set({ order }, "replace"),
      pick: (row) => events.pick(row.name),
      menu: (row, x, y) => events.menu(row.name, x, y),
      marked: (row) => events.marked(row.name),
      key: (row) => row.name,
    });
    const filter = debounce(60, () => this.draw());
    this.input = h("input", {
      type: "search",
      "aria-label": "Filter the frames of the table",
      spellcheck: "false",
      autocomplete: "off",
      oninput: () => filter(),
    });
    const save = button("CSV", () => this.save(), { title: "The frames of this table as CSV" });
    const head = h("div.head", this.input, save);
    this.element = h("div.names", this.lists, head, this.table.element);
  }

  /** The frames that only one side has come first, the largest of them. */
  private listOneSided(sides: Sides | null): void {
    const lists = [2, 1].flatMap((side) => {
      if (!sides) return [];
      const rows = this.lines.filter((row) => oneSided(row) === side);
      rows.sort((a, b) => b.total[side] - a.total[side]);
      return rows.length ? [this.oneSided(rows, side, sides)] : [];
    });
    replace(this.lists, ...lists);
  }

  private oneSided(rows: NameRow[], side: number, sides: Sides): HTMLElement {
    const lines = rows.slice(0, MOST_LISTED).map((row) => {
      const { name, total } = row;
      const text = short(row.label);
      const pick = button("", () => this.events.pick(name), {
        class: "name",
        title: text,
        "aria-label": text,
      });
      pick.append(square(background(kindFill(frame(name).kind))), h("span.text", h("bdi", text)));
      return h("li", pick, h("span.number", bare(total[side], sides.measures[side - 1])));
    });
    const title = side === 2 ? "New in B" : "Gone from A";
    const count = h("span.number.hint", String(rows.length));
    return h("section.onesided", h("h3", title, " ", count), h("ul", ...lines));
  }

  /** Sums a part of a tree, unless it did so last. */
  private readonly setPart = memo((source: Source, tree: Tree, root: number, all: number) => {
    this.part = { source, tree, root, all };
    const sums = sumsOf(tree, source.groups, root);
    const rows = new Map<number, NameRow>();
    tree.names.forEach((name, id) => {
      const totals = sums.total.map((side) => side[id]);
      if (!totals[0]) return;
      const self = sums.self.map((side) => side[id]);
      rows.set(id, { id, name, label: label(name), above: [], self, total: totals });
    });
    this.single = [...rows.values()];
    this.lines = chains(sums).flatMap((chain) => this.lineOf(chain, rows, tree));
    this.listOneSided(source.sides);
    this.both = source.sides ? this.lines.filter((row) => !oneSided(row)) : this.lines;
    this.input.placeholder = `Filter ${rows.size} frames`;
    const whole = tree.sides[0].value[root] ?? 0;
    this.columns = source.sides
      ? changeColumns(source.sides, tree)
      : plainColumns(source.measure, all, whole, tellsSelf(this.single, whole));
  });

  private lineOf(chain: number[], rows: Map<number, NameRow>, tree: Tree): NameRow[] {
    const deepest = rows.get(chain.at(-1) ?? -1);
    const above = chain.slice(0, -1).map((id) => tree.names[id]);
    return deepest ? [{ ...deepest, above }] : [];
  }

  /** The frames that match, if anything is searched for; `of` names the tree. */
  show(part: Part, hits: Uint8Array | null, of: string): void {
    this.setPart(part.source, part.tree, part.root, part.all);
    this.hits = hits;
    this.of = of;
    this.draw();
    this.revealChosen(this.store.state.frame);
  }

  private draw(): void {
    const { order, search } = this.store.state;
    const wanted = this.input.value.trim().toLowerCase();
    const known = this.columns.some((column) => order.replace("-", "") === column.key);
    this.table.show({
      // A chain has one line, but who looks for a frame sees that frame.
      rows: this.hits || wanted ? this.single : this.both,
      columns: this.columns,
      order: known ? order : `-${this.columns.at(-1)?.key ?? ""}`,
      keep: this.keeping(this.hits, wanted),
      of: `${this.of} ${search} ${wanted}`,
    });
  }

  private readonly keeping = memo((hits: Uint8Array | null, wanted: string) => {
    if (!hits && !wanted) return null;
    return (row: NameRow) =>
      (!hits || hits[row.id] === 1) && (!wanted || row.label.toLowerCase().includes(wanted));
  });

  private readonly revealChosen = memo((frame: string) => {
    if (frame) this.reveal(frame);
  });

  redraw(): void {
    this.table.redraw();
  }

  reveal(name: string): void {
    this.table.reveal((row) => row.name === name || row.above.includes(name));
  }

  /** The lines of the table, for a text about them. */
  get rows(): NameRow[] {
    return this.lines;
  }

  private save(): void {
    const { part } = this;
    if (!part) return;
    const keep = this.keeping(this.hits, this.input.value.trim().toLowerCase());
    const rows = keep ? this.single.filter(keep) : this.single;
    const text = csv(part.source, rows);
    download("frames.csv", new Blob([text], { type: "text/csv" }));
  }
}

/** The side that alone has a frame: 1 or 2; 0 if both have it. */
function oneSided({ total }: NameRow): number {
  if (!total[1]) return 2;
  return total[2] ? 0 : 1;
}

/** All frames with their plain sums, and time per time where it has a name. */
function csv({ measure, sides }: Source, rows: NameRow[]): string {
  const unit = measure.unit ? ` (${measure.unit})` : "";
  const rate = measure.rate ? [measure.rate] : [];
  const head = sides
    ? ["frame", "kind", `A${unit}`, `B${unit}`, ...rate.flatMap((one) => [`A ${one}`, `B ${one}`])]
    : ["frame", "kind", `self${unit}`, `total${unit}`, ...rate];
  const lines = rows.map(({ name, self, total }) => {
    const sums = sides ? total.slice(1, 3) : [self[0], total[0]];
    const of = sides ? sides.measures : [measure];
    const told = sides ? sums : [total[0]];
    const rates = measure.rate ? told.map((value, k) => perTime(value, of[k])) : [];
    return [name, KIND_TEXT[frame(name).kind], ...sums, ...rates];
  });
  return [head, ...lines].map((line) => `${line.map(field).join(",")}\r\n`).join("");
}

/** A spreadsheet runs a text that begins as a formula does. */
function field(value: string | number): string {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return `"${text.replace(/"/g, '""')}"`;
}

/** Frames in which a thread leaves the CPU. */
const SWITCH = /^(?:__|preempt_|io_)?schedule(?:_\w+)?_\[k\]$/;

/** While threads wait, the frame on top is nearly always the one that switches. */
function tellsSelf(rows: NameRow[], whole: number): boolean {
  const switching = rows.filter(({ name }) => SWITCH.test(name));
  return switching.reduce((all, { self }) => all + self[0], 0) < 0.5 * whole;
}

function nameColumn(): TableColumn<NameRow> {
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
    cell: ({ [key]: [value] }) => {
      const share = { title: `${percent(value, all)} of all` };
      return h("span", share, value ? bare(value, measure) : "–");
    },
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

/** A frame with less of both sides than this is no find, however much it has changed. */
const LEAST_SHARE = 0.002;

function changeColumns(sides: Sides, tree: Tree): TableColumn<NameRow>[] {
  const { scale, measures, shares } = sides;
  const scaled = (row: NameRow, k: number) => row.total[k + 1] * scale[k];
  const least = [1, 2].map((k) => (tree.sides[k].value[0] ?? 0) * scale[k - 1] * LEAST_SHARE);
  const column = (key: string, title: string, k: number): TableColumn<NameRow> => ({
    key,
    title,
    numeric: true,
    sort: (row) => scaled(row, k),
    cell: ({ total }) => {
      const value = total[k + 1];
      if (!value) return "–";
      const [amount, share] = [
        bare(value, measures[k]),
        percent(value, tree.sides[k + 1].value[0]),
      ];
      return h("span", { title: shares ? amount : share }, shares ? share : amount);
    },
  });
  const ratio = (row: NameRow) => {
    const small = scaled(row, 0) < least[0] && scaled(row, 1) < least[1];
    return small ? 0 : Math.log((scaled(row, 1) || 1e-12) / (scaled(row, 0) || 1e-12));
  };
  return [
    nameColumn(),
    column("before", "A", 0),
    column("after", "B", 1),
    {
      key: "change",
      title: "B : A",
      help: "how many times as much it is in B as in A",
      numeric: true,
      sort: ratio,
      cell: (row) => {
        const { text, tone } = ratioText(scaled(row, 0), scaled(row, 1));
        return h("span", { class: tone || "same" }, text);
      },
    },
  ];
}
