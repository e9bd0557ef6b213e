// The rows themselves, newest first.

import { url } from "../api/client";
import { category, column, question, type Context } from "../state/context";
import { copyText } from "../ui/copy";
import { Cover } from "../ui/cover";
import { button, h, replace } from "../ui/dom";
import { explainEmpty } from "./empty";
import { dateTime, exact, quantity, zoneName } from "../ui/format";
import { label } from "../flame/paint";
import { Loader } from "../api/loader";
import { menu } from "../ui/popover";
import { HAS, withFilter } from "../state/filters";
import { DataTable, type TableColumn } from "../ui/table";
import { plain, short } from "../ui/text";
import type { ColumnAnswer, Rows } from "../../generated/types";

type Row = unknown[];

export class RowsView {
  readonly element: HTMLElement;
  private readonly table: DataTable<Row>;
  private readonly foot = h("div.foot");
  private readonly over = new Cover();
  private readonly loader = new Loader("Reading rows");
  private readonly further = new Loader("Reading more rows");
  private rows: Row[] = [];
  private columns: string[] = [];
  private following: string | null = null;

  constructor(private readonly context: Context) {
    const { store } = context;
    this.table = new DataTable<Row>("Rows", {
      order: (rowsOrder) => store.set({ rowsOrder }, "replace"),
      menu: (row, x, y) => this.openMenu(row, x, y),
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
    void this.loader.ask<Rows>(`/api/v1/rows/${table}`, query, (answer) => {
      this.further.cancel();
      this.rows = answer.rows;
      this.columns = answer.columns;
      this.show(answer);
      void this.over.say(answer.rows.length ? null : explainEmpty(this.context));
    });
  }

  private show(answer: Rows): void {
    this.following = answer.next;
    const { table } = this.context.store.state;
    const columns = this.columns.map((name, k) =>
      this.tableColumn(column(this.context, name), name, k),
    );
    this.table.show({ rows: this.rows, columns, order: this.order, of: table });
    const query = question(this.context, "box");
    const save = (format: string) => () =>
      location.assign(url(`/api/v1/rows/${table}`, [...query, ["format", format]]));
    replace(
      this.foot,
      h("span.number", `${exact(this.rows.length)} rows shown`),
      this.following ? button("more", () => this.more()) : null,
      button("CSV", save("csv"), { title: "All rows of this question as CSV" }),
      button("NDJSON", save("ndjson"), { title: "All rows of this question as NDJSON" }),
    );
  }

  /** A page is asked for once, however often the button is pressed. */
  private more(): void {
    const { following } = this;
    if (!following) return;
    void this.further.ask<Rows>(following, [], (answer) => {
      this.rows = [...this.rows, ...answer.rows];
      this.show(answer);
    });
  }

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
      cell: (row) => h("span", { title: String(row[k] ?? "") }, short(this.text(known, row[k]))),
    };
  }

  private text(known: ColumnAnswer | undefined, value: unknown): string {
    if (value === null || value === undefined) return "";
    if (known?.storage === "time")
      return dateTime(Number(value), this.context.store.state.zone, true);
    if (known?.role === "value") return quantity(Number(value), known.unit);
    if (known?.role === "stack") {
      const leaves = String(value).split(";").reverse().slice(0, 12);
      return leaves.map((name) => short(label(name), 80)).join(" ← ");
    }
    return plain(Array.isArray(value) ? value.join(" ") : String(value));
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
