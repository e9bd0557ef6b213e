// A table of many rows of which only those in sight exist as elements.

import { h, perFrame, replace, type Child } from "./dom";

export interface TableColumn<R> {
  key: string;
  title: string;
  help?: string;
  numeric: boolean;
  /** What is sorted by; text sorts upward first, numbers downward. */
  sort?: (row: R) => number | string;
  cell: (row: R) => Child;
  /** A share from 0 to 1, drawn as a bar behind the cell. */
  bar?: (row: R) => number;
}

export interface TableEvents<R> {
  order(order: string): void;
  pick?(row: R): void;
  menu?(row: R, x: number, y: number): void;
  marked?(row: R): boolean;
}

const HEIGHT = 23;
const MARGIN = 10;

export class DataTable<R> {
  readonly element: HTMLElement;
  private readonly head = h("tr");
  private readonly body = h("tbody");
  private readonly table: HTMLTableElement;
  private rows: R[] = [];
  private columns: TableColumn<R>[] = [];
  private order = "";
  private readonly draw = perFrame(() => this.drawNow());

  constructor(
    name: string,
    private readonly events: TableEvents<R>,
  ) {
    this.table = h("table", { "aria-label": name }, h("thead", {}, this.head), this.body);
    this.element = h("div", { class: "rows", tabindex: 0, role: "region", "aria-label": name });
    this.element.append(this.table);
    this.element.addEventListener("scroll", this.draw, { passive: true });
    new ResizeObserver(this.draw).observe(this.element);
  }

  show(rows: R[], columns: TableColumn<R>[], order: string): void {
    this.columns = columns;
    this.order = order;
    this.rows = sorted(rows, columns, order);
    this.table.setAttribute("aria-rowcount", String(rows.length + 1));
    replace(this.head, ...columns.map((column) => this.heading(column)));
    this.element.scrollTop = 0;
    this.drawNow();
  }

  redraw(): void {
    this.draw();
  }

  reveal(match: (row: R) => boolean): void {
    const at = this.rows.findIndex(match);
    if (at < 0) return;
    const { scrollTop, clientHeight } = this.element;
    const top = at * HEIGHT;
    if (top < scrollTop || top + 3 * HEIGHT > scrollTop + clientHeight) {
      this.element.scrollTop = Math.max(0, top - clientHeight / 2);
    }
    this.draw();
  }

  private heading(column: TableColumn<R>): HTMLElement {
    const down = this.order === `-${column.key}`;
    const active = down || this.order === column.key;
    const first = column.numeric ? `-${column.key}` : column.key;
    const other = column.numeric ? column.key : `-${column.key}`;
    const next = this.order === first ? other : first;
    const arrow = active ? (down ? " ↓" : " ↑") : "";
    const inner = column.sort
      ? h(
          "button",
          { type: "button", onclick: () => this.events.order(next) },
          column.title + arrow,
        )
      : column.title;
    return h(
      "th",
      {
        scope: "col",
        class: column.numeric ? "number" : "",
        title: column.help || undefined,
        "aria-sort": active ? (down ? "descending" : "ascending") : undefined,
      },
      inner,
    );
  }

  private drawNow(): void {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / HEIGHT) - MARGIN);
    const last = Math.min(
      this.rows.length,
      Math.ceil((scrollTop + (clientHeight || 600)) / HEIGHT) + MARGIN,
    );
    replace(
      this.body,
      this.gap(first),
      ...this.rows.slice(first, last).map((row, k) => this.row(row, first + k + 2)),
      this.gap(this.rows.length - last),
    );
  }

  private gap(rows: number): HTMLElement | null {
    if (rows <= 0) return null;
    const gap = h("tr", { "aria-hidden": "true" }, h("td", { colspan: this.columns.length }));
    gap.style.height = `${rows * HEIGHT}px`;
    return gap;
  }

  private row(row: R, index: number): HTMLElement {
    const { pick, menu, marked } = this.events;
    return h(
      "tr",
      {
        "aria-rowindex": index,
        class: marked?.(row) ? "marked" : "",
        onclick: pick ? () => pick(row) : undefined,
        oncontextmenu: menu
          ? (event: MouseEvent) => {
              event.preventDefault();
              menu(row, event.clientX, event.clientY);
            }
          : undefined,
      },
      ...this.columns.map((column) => this.cell(column, row)),
    );
  }

  private cell(column: TableColumn<R>, row: R): HTMLElement {
    const cell = h("td", { class: column.numeric ? "number" : "" }, column.cell(row));
    if (column.bar) {
      const share = Math.max(0, Math.min(1, column.bar(row)));
      cell.style.backgroundSize = `${share * 100}% 100%`;
      cell.classList.add("share");
    }
    return cell;
  }
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
