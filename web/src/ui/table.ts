// A table of many rows. Only the rows in sight exist as elements.

import { button, h, perFrame, replace, type Child } from "./dom";
import { openInPlace } from "./popover";

export interface TableColumn<R> {
  key: string;
  title: string;
  help?: string;
  numeric?: boolean;
  /** A class of its cells, for their width. */
  style?: string;
  /** The value to sort by; text sorts upward first, numbers downward. */
  sort?: (row: R) => number | string;
  cell: (row: R) => Child;
  /** Words about a cell, for who rests on it. */
  tip?: (row: R) => string;
  /** A share from 0 to 1, drawn as a bar behind the cell. */
  bar?: (row: R) => number;
}

export interface TableEvents<R> {
  order(order: string): void;
  pick?(row: R): void;
  menu?(row: R, x: number, y: number): void;
  marked?(row: R): boolean;
  /** The identity of a row, the same in the next answer. */
  key?(row: R): string;
}

export interface Shown<R> {
  rows: R[];
  columns: TableColumn<R>[];
  order: string;
  /** Leaves rows out without sorting again. */
  keep?: ((row: R) => boolean) | null;
  /** The key of a row that is open, and what stands below it. */
  opened?: { key: string; detail: HTMLElement } | null;
  /** The question of the rows: the table starts at its top when this or the order changes. */
  of: string;
}

const HEAD = 26;
const MARGIN = 10;

/** The height of a line, from the style sheet: it differs with the width of the window. */
function lineHeight(): number {
  const style = getComputedStyle(document.documentElement);
  return Number.parseFloat(style.getPropertyValue("--line-h")) || 24;
}

export class DataTable<R> {
  readonly element: HTMLElement;
  private readonly head = h("tr");
  private readonly body = h("tbody");
  private readonly table: HTMLTableElement;
  private shown: Shown<R> = { rows: [], columns: [], order: "", of: "" };
  private sorted: R[] = [];
  private rows: R[] = [];
  /** The rows that exist as elements, by index. */
  private made = new Map<number, HTMLElement>();
  /** The row that is open, and the element below it; -1 and null for none. */
  private open = -1;
  private detail: HTMLElement | null = null;
  /** The one row that Tab reaches; arrows go on from there. */
  private current = 0;
  private height = lineHeight();
  readonly redraw = perFrame(() => this.drawNow());

  constructor(
    name: string,
    private readonly events: TableEvents<R>,
  ) {
    this.table = h("table", { "aria-label": name }, h("thead", this.head), this.body);
    this.element = h("div.rows", { role: "region", "aria-label": name }, this.table);
    this.element.addEventListener("scroll", this.redraw, { passive: true });
    this.element.addEventListener("repaint", this.redraw);
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("focusin", (event) => this.focused(event.target as Element));
    new ResizeObserver(() => this.resized()).observe(this.element);
  }

  private resized(): void {
    this.height = lineHeight();
    this.redraw();
  }

  show(next: Shown<R>): void {
    const { shown, element } = this;
    this.shown = next;
    const same = next.rows === shown.rows && next.columns === shown.columns;
    const still = same && next.opened === shown.opened;
    if (still && next.order === shown.order && next.keep === shown.keep) return this.redraw();
    // Read before the rows change: afterwards the browser would lay out all of them.
    let { scrollTop } = element;
    const { clientHeight } = element;
    const key = this.rows[this.current] && this.events.key?.(this.rows[this.current]);
    if (!same || next.order !== shown.order) {
      this.sorted = sortedOnce(next.rows, next.columns, next.order);
      replace(this.head, ...next.columns.map((column) => this.heading(column)));
    }
    this.rows = next.keep ? this.sorted.filter(next.keep) : this.sorted;
    this.table.setAttribute("aria-rowcount", String(this.rows.length + 1));
    if (scrollTop && (next.of !== shown.of || next.order !== shown.order)) {
      element.scrollTop = scrollTop = 0;
    }
    this.renew(key, scrollTop, clientHeight);
  }

  /** Recreates the rows; the row that had the focus keeps it. */
  private renew(key: string | undefined, scrollTop: number, height: number): void {
    const focused = this.body.contains(document.activeElement);
    const same = this.rows.findIndex((row) => this.events.key?.(row) === key);
    this.current = Math.max(0, same);
    const { opened, columns } = this.shown;
    this.open = opened ? this.rows.findIndex((row) => this.events.key?.(row) === opened.key) : -1;
    const place = opened && h("td", { colspan: columns.length }, opened.detail);
    this.detail = this.open >= 0 && place ? h("tr.detail", place) : null;
    this.made.clear();
    this.body.replaceChildren();
    const lowest = Math.max(0, HEAD + this.rows.length * this.height - height);
    this.drawNow(Math.min(scrollTop, lowest), height);
    if (focused) this.focusTarget(this.current)?.focus({ preventScroll: true });
  }

  /** Scrolls to a row that is out of sight. */
  reveal(match: (row: R) => boolean): void {
    const at = this.rows.findIndex(match);
    if (at < 0) return;
    this.current = at;
    const { scrollTop, clientHeight } = this.element;
    const top = at * this.height;
    if (top + this.height <= scrollTop || top + HEAD >= scrollTop + clientHeight) {
      this.element.scrollTop = Math.max(0, top - clientHeight / 2);
    }
    this.redraw();
  }

  private focused(target: Element): void {
    const row = target.closest("tr");
    this.current = [...this.made].find(([, element]) => element === row)?.[0] ?? this.current;
    this.markCurrent();
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor((this.element.clientHeight - HEAD) / this.height) - 1);
    const last = this.rows.length - 1;
    const to: Record<string, number> = {
      ArrowDown: this.current + 1,
      ArrowUp: this.current - 1,
      PageDown: this.current + page,
      PageUp: this.current - page,
      Home: 0,
      End: last,
    };
    const next = to[event.key];
    if (next !== undefined) this.walk(Math.max(0, Math.min(last, next)));
    else if (event.key === "m") this.menuAt(this.current);
    else return;
    event.preventDefault();
  }

  private walk(index: number): void {
    this.current = index;
    const { scrollTop, clientHeight } = this.element;
    const top = index * this.height;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.height + HEAD > scrollTop + clientHeight) {
      this.element.scrollTop = top + this.height + HEAD - clientHeight;
    }
    this.drawNow();
    this.focusTarget(index)?.focus({ preventScroll: true });
  }

  private menuAt(index: number): void {
    const row = this.rows[index];
    const box = this.made.get(index)?.getBoundingClientRect();
    if (row && box) this.events.menu?.(row, box.left + 16, box.bottom);
  }

  /** The element of a row that takes the focus: its button, or without one the row. */
  private focusTarget(index: number): HTMLElement | null {
    const row = this.made.get(index);
    return row?.querySelector<HTMLElement>("button") ?? row ?? null;
  }

  private markCurrent(): void {
    for (const index of this.made.keys()) {
      const target = this.focusTarget(index);
      if (!target) continue;
      const tabindex = index === this.current ? "0" : "-1";
      if (target.getAttribute("tabindex") !== tabindex) target.setAttribute("tabindex", tabindex);
    }
  }

  private heading(column: TableColumn<R>): HTMLElement {
    const { order } = this.shown;
    const [up, down] = [column.key, `-${column.key}`];
    const [first, other] = column.numeric ? [down, up] : [up, down];
    const next = order === first ? other : first;
    const arrow = order === down ? " ↓" : order === up ? " ↑" : "";
    const sort = order === down ? "descending" : order === up ? "ascending" : undefined;
    return h(
      "th",
      {
        scope: "col",
        class: classOf(column),
        title: column.help || undefined,
        "aria-sort": sort,
      },
      column.sort ? button(column.title + arrow, () => this.events.order(next)) : column.title,
    );
  }

  private drawNow(
    scrollTop = this.element.scrollTop,
    clientHeight = this.element.clientHeight,
  ): void {
    const first = Math.max(0, Math.floor(this.rowsAbove(scrollTop)) - MARGIN);
    const end = this.rowsAbove(scrollTop + (clientHeight || 600));
    const last = Math.min(this.rows.length, Math.ceil(end) + MARGIN);
    const wanted = Array.from({ length: Math.max(0, last - first) }, (_, k) => first + k);
    // The row with the focus stays, however far it is scrolled away.
    if (this.current < first) wanted.unshift(this.current);
    else if (this.current >= last && this.current < this.rows.length) wanted.push(this.current);
    // The open row is always there, since its height is known only from itself.
    if (this.open >= 0 && !wanted.includes(this.open)) wanted.push(this.open);
    wanted.sort((a, b) => a - b);
    this.place(wanted);
    this.markCurrent();
  }

  /** How many rows lie above a place in the scrolled picture, with what is open counted as none. */
  private rowsAbove(y: number): number {
    const top = (this.open + 1) * this.height;
    const detail = this.detail?.offsetHeight ?? 0;
    const hidden = this.open < 0 ? 0 : Math.max(0, Math.min(detail, y - HEAD - top));
    return (y - hidden) / this.height;
  }

  /** Brings the elements in step with the wanted indices; those that stay are not touched. */
  private place(wanted: number[]): void {
    const before = this.made;
    this.made = new Map();
    const elements: HTMLElement[] = [];
    let next = 0;
    for (const index of wanted) {
      if (index > next) elements.push(this.gap(index - next));
      const row = this.rows[index];
      const element = before.get(index) ?? this.row(row, index + 2);
      element.className = this.events.marked?.(row) ? "marked" : "";
      element.classList.toggle("open", index === this.open);
      this.made.set(index, element);
      elements.push(element);
      if (index === this.open && this.detail) elements.push(this.detail);
      next = index + 1;
    }
    if (this.rows.length > next) elements.push(this.gap(this.rows.length - next));
    const kept = new Set<Element>(elements);
    for (const child of [...this.body.children]) if (!kept.has(child)) child.remove();
    elements.forEach((element, k) => {
      const there = this.body.children[k] ?? null;
      if (there !== element) this.body.insertBefore(element, there);
    });
  }

  private gap(rows: number): HTMLElement {
    const gap = h("tr", { "aria-hidden": "true" }, h("td", { colspan: this.shown.columns.length }));
    gap.style.height = `${rows * this.height}px`;
    return gap;
  }

  private row(row: R, index: number): HTMLElement {
    const { pick, menu } = this.events;
    return h(
      "tr",
      {
        "aria-rowindex": index,
        onclick: pick ? () => pick(row) : undefined,
        oncontextmenu: menu
          ? (event: MouseEvent) => openInPlace(event, () => menu(row, event.clientX, event.clientY))
          : undefined,
      },
      ...this.shown.columns.map((column) => this.cell(column, row)),
    );
  }

  private cell(column: TableColumn<R>, row: R): HTMLElement {
    const cell = h("td", { class: classOf(column), title: column.tip?.(row) }, column.cell(row));
    if (column.bar) {
      const share = Math.max(0, Math.min(1, column.bar(row)));
      cell.style.backgroundSize = `${share * 100}% 100%`;
      cell.classList.add("share");
    }
    return cell;
  }
}

function classOf<R>({ numeric, style = "" }: TableColumn<R>): string {
  return numeric ? `number ${style}`.trim() : style;
}

/** The order of rows that were sorted before: a search goes back and forth between two lists. */
const orders = new WeakMap<object, { order: string; columns: unknown; sorted: unknown[] }>();

function sortedOnce<R>(rows: R[], columns: TableColumn<R>[], order: string): R[] {
  const before = orders.get(rows);
  if (before?.order === order && before.columns === columns) return before.sorted as R[];
  const made = sorted(rows, columns, order);
  orders.set(rows, { order, columns, sorted: made });
  return made;
}

function sorted<R>(rows: R[], columns: TableColumn<R>[], order: string): R[] {
  const down = order.startsWith("-");
  const by = columns.find((column) => column.key === order.replace(/^-/, ""))?.sort;
  if (!by) return rows;
  const keyed = rows.map((row) => ({ row, key: by(row) }));
  const sign = down ? -1 : 1;
  keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0));
  return keyed.map(({ row }) => row);
}
