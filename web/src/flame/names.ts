// The table beside a flame graph: self and total per frame, of the part of the tree that is shown.

import { button, debounce, h, replace } from "../ui/dom";
import { memo } from "../ui/memo";
import { DataTable, type TableColumn } from "../ui/table";
import type { Store } from "../state/address";
import type { Sides, Source } from "./flame_query";
import { columnsOf } from "./name_columns";
import { linesOf, NO_LINES, type NameLines, type NameRow, type Part } from "./name_lines";
import type { Tree } from "./tree";

export interface NameEvents {
  pick(name: string): void;
  menu(name: string, x: number, y: number): void;
  marked(name: string): boolean;
}

/** The two sides of a comparison in the table. */
export interface Compared {
  columns(sides: Sides, tree: Tree): TableColumn<NameRow>[];
  /** Lists above the table, of what only one side has. */
  lists(rows: NameRow[], sides: Sides, pick: (name: string) => void): HTMLElement[];
}

export class NameTable {
  readonly element: HTMLElement;
  private readonly table: DataTable<NameRow>;
  private readonly lists = h("div.lists");
  private readonly input: HTMLInputElement;
  private part: Part | null = null;
  private shown = NO_LINES;
  private columns: TableColumn<NameRow>[] = [];
  private hits: Uint8Array | null = null;
  private of = "";

  constructor(
    private readonly store: Store,
    private readonly events: NameEvents,
    private readonly compared: Compared | null = null,
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

  /** Takes the lines of a part of a tree, unless it did so last. */
  private readonly setPart = memo((source: Source, tree: Tree, root: number, all: number) => {
    const part = (this.part = { source, tree, root, all });
    const { lines, columns } = root ? this.read(part) : this.whole(source, tree, all);
    Object.assign(this, { shown: lines, columns });
    const { sides } = source;
    const lists = sides && this.compared?.lists(lines.lines, sides, this.events.pick);
    replace(this.lists, ...(lists ?? []));
    this.input.placeholder = `Filter ${lines.single.length} frames`;
  });

  /** Kept while parts of the tree are shown: who zooms in comes back. */
  private readonly whole = memo((source: Source, tree: Tree, all: number) =>
    this.read({ source, tree, root: 0, all }),
  );

  private read(part: Part): { lines: NameLines; columns: TableColumn<NameRow>[] } {
    const lines = linesOf(part);
    const { sides } = part.source;
    const columns = sides && this.compared?.columns(sides, part.tree);
    return { lines, columns: columns ?? columnsOf(part, lines.single) };
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
      rows: this.hits || wanted ? this.shown.single : this.shown.both,
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
    return this.shown.lines;
  }

  private save(): void {
    const { part } = this;
    if (!part) return;
    const keep = this.keeping(this.hits, this.input.value.trim().toLowerCase());
    const rows = keep ? this.shown.single.filter(keep) : this.shown.single;
    void import("./names_csv").then(({ saveNames }) => saveNames(part.source, rows));
  }
}
