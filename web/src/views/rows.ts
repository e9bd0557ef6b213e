// The rows themselves, newest first.

import { url, type Query } from "../api/client";
import { category, column, question, type Context } from "../state/context";
import { copyText } from "../ui/copy";
import { Cover } from "../ui/cover";
import { button, h, replace } from "../ui/dom";
import { explainEmpty } from "./empty";
import { dateTime, exact, quantity, zoneName } from "../ui/format";
import { label } from "../flame/paint";
import { Loader } from "../api/loader";
import { menu, opener } from "../ui/popover";
import { HAS, withFilter } from "../state/filters";
import { memo } from "../ui/memo";
import { DataTable, type TableColumn } from "../ui/table";
import { RowDetail } from "./row_detail";
import { smallChart, stackLine } from "./row_words";
import { plain, short } from "../ui/text";
import type { ColumnAnswer, Rows } from "../../generated/types";

type Row = unknown[];

/** Formats that have a button below the rows. */
const BUTTONS = new Set(["csv", "ndjson"]);

export class RowsView {
  readonly element: HTMLElement;
  private readonly table: DataTable<Row>;
  private readonly foot = h("div.foot");
  private readonly over = new Cover();
  private readonly loader = new Loader("Reading rows");
  private readonly further = new Loader("Reading more rows");
  private rows: Row[] = [];
  private columns: string[] = [];
  /** The name of each row, which stays the same. */
  private readonly ids = new Map<Row, string>();
  /** Rows whose time is that of the row above. */
  private readonly repeated = new Set<Row>();
  private last: Rows | null = null;
  private following: string | null = null;

  constructor(private readonly context: Context) {
    const { store } = context;
    this.table = new DataTable<Row>("Rows", {
      order: (rowsOrder) => store.set({ rowsOrder }, "replace"),
      pick: (row) => this.toggle(row),
      menu: (row, x, y) => this.openMenu(row, x, y),
      key: (row) => this.ids.get(row) ?? "",
    });
    this.loader.over(this.table.element, this.foot);
    this.over.cover(this.loader.element, this.further.element);
    this.element = h("div.rowsview", this.table.element, this.over.element, this.foot);
  }

  /** The chosen order, unless it is by a column of another category. */
  private get order(): string {
    const { rowsOrder } = this.context.store.state;
    return column(this.context, rowsOrder.replace(/^-/, "")) ? rowsOrder : "-time";
  }

  update(): void {
    const { table } = this.context.store.state;
    if (!category(this.context)) return;
    const query = question(this.context, "box");
    query.push(["limit", "500"], ["order", this.order]);
    void this.loader.ask<Rows>(`api/v1/rows/${table}`, query, (answer) => {
      this.further.cancel();
      this.rows = answer.rows;
      this.columns = answer.columns;
      this.ids.clear();
      this.keep(answer);
      this.show(answer);
      void this.over.say(answer.rows.length ? null : explainEmpty(this.context));
    });
    if (this.last) this.show(this.last);
    void this.find();
  }

  /** A row of the address that is not in the list, with its neighbours, which then are the list. */
  private async find(): Promise<void> {
    const { table, opened } = this.context.store.state;
    if (!opened || !this.last || !this.loader.settled) return;
    if ([...this.ids.values()].includes(opened)) return;
    const query: Query = [
      ["row", opened],
      ["around", "20"],
    ];
    void this.further.ask<Rows>(`api/v1/rows/${table}`, query, (answer) => {
      this.rows = answer.rows;
      this.keep(answer);
      this.show(answer);
    });
  }

  private keep({ rows, ids }: Rows): void {
    rows.forEach((row, k) => this.ids.set(row, ids[k] ?? ""));
    const at = this.columns.indexOf("time");
    this.repeated.clear();
    this.rows.forEach((row, k) => {
      if (k && row[at] === this.rows[k - 1][at]) this.repeated.add(row);
    });
  }

  private toggle(row: Row): void {
    const { store } = this.context;
    const id = this.ids.get(row) ?? "";
    store.set({ opened: store.state.opened === id ? "" : id });
  }

  /** The element below the open row, if it is in the list; see `find` for a row that is not. */
  private readonly detailOf = memo((id: string, rows: Row[]) => {
    const row = rows.find((one) => this.ids.get(one) === id);
    if (!id || !row) return null;
    const named = new Map(this.columns.map((name, k) => [name, row[k]] as const));
    return { key: id, detail: new RowDetail(this.context, named, id).element };
  });

  private show(answer: Rows): void {
    this.last = answer;
    this.following = answer.next;
    const { table } = this.context.store.state;
    const { zone, opened } = this.context.store.state;
    const columns = this.tableColumns(this.columns, zone);
    const open = this.detailOf(opened, this.rows);
    const order = this.order;
    this.table.show({ rows: this.rows, columns, order, of: table, opened: open });
    const query = question(this.context, "box");
    const save = (format: string) => () =>
      location.assign(url(`api/v1/rows/${table}`, [...query, ["format", format]]));
    replace(
      this.foot,
      h("span.number", `${exact(this.rows.length)} rows shown`),
      this.following ? button("more", () => this.more()) : null,
      button("CSV", save("csv"), { title: "All rows of this question as CSV" }),
      button("NDJSON", save("ndjson"), { title: "All rows of this question as NDJSON" }),
      opener("Other formats", "menu", (by) => this.openFormats(by, save)),
    );
  }

  /** Those that the server can write and that have no button. */
  private openFormats(by: HTMLElement, save: (format: string) => () => void): void {
    const others = Object.entries(this.context.tables).filter(([name]) => !BUTTONS.has(name));
    const items = others.map(([name, text]) => ({ text, run: save(name) }));
    menu(by, items, "Formats");
  }

  /** A page is asked for once, however often the button is pressed. */
  private more(): void {
    const { following } = this;
    if (!following) return;
    void this.further.ask<Rows>(following, [], (answer) => {
      this.rows = [...this.rows, ...answer.rows];
      this.keep(answer);
      this.show(answer);
    });
  }

  private readonly tableColumns = memo((names: string[], _: string) =>
    names.map((name, k) => this.tableColumn(column(this.context, name), name, k)),
  );

  private tableColumn(known: ColumnAnswer | undefined, name: string, k: number): TableColumn<Row> {
    const { zone } = this.context.store.state;
    const numeric = known?.storage === "integer" || known?.storage === "real";
    const title = known?.prettyname ?? name;
    return {
      key: name,
      title: known?.name === "time" ? `${title} (${zoneName(zone)})` : title,
      ...(known?.help ? { help: known.help } : {}),
      numeric,
      sort: (row) => row[k] as number | string,
      cell: (row) => this.cell(known, row, k),
    };
  }

  private cell(known: ColumnAnswer | undefined, row: Row, k: number): HTMLElement {
    const value = row[k];
    const title = { title: short(String(value ?? ""), 2000) };
    if (known?.role === "stack" && value) return h("span", title, stackLine(String(value)));
    if (known?.role === "histogram" && Array.isArray(value) && value.length) {
      return h("span", title, smallChart(value.map(Number)));
    }
    const text = short(this.text(known, value));
    if (known?.name !== "time") return h("span", title, text);
    const open = { ...title, type: "button", class: this.repeated.has(row) ? "name hint" : "name" };
    return h("button", open, text);
  }

  private text(known: ColumnAnswer | undefined, value: unknown): string {
    if (value === null || value === undefined) return "";
    if (known?.storage === "time") return this.timeText(Number(value));
    if (known?.role === "value") return quantity(Number(value), known.unit);
    return plain(Array.isArray(value) ? value.join(" ") : String(value));
  }

  /** The day only where the range has several, and no fraction that is nothing. */
  private timeText(us: number): string {
    const { range, store } = this.context;
    const text = dateTime(us, store.state.zone, us % 1e6 !== 0);
    return range.to - range.from > 86_400e6 ? text : text.slice(11);
  }

  private openMenu(row: Row, x: number, y: number): void {
    const { store } = this.context;
    const items = this.columns.flatMap((name, k) => {
      const known = column(this.context, name);
      if (!known || row[k] === null || row[k] === undefined) return [];
      const value = String(row[k]);
      const only = (op: string, text: string) => {
        const filter = { column: name, op, value: text };
        return () => store.set({ filters: withFilter(store.state.filters, filter) });
      };
      if (known.role === "stack") {
        const leaf = value.split(";").at(-1) ?? "";
        const text = `Only stacks through ${short(label(leaf), 80)}`;
        const filter = leaf ? [{ text, run: only(HAS, leaf) }] : [];
        return [...filter, { text: "Copy stack", run: () => void copyText(value) }];
      }
      if (known.role === "value" || !["string id", "integer", "boolean"].includes(known.storage))
        return [];
      const text = `Only ${known.prettyname} ${short(plain(value), 80)}`;
      return [{ text, run: only("eq", value) }];
    });
    menu([x, y], items, "Row");
  }
}
