// Which hosts differ most from the rest, and in what.

import { question, stackColumn, valueColumn, type Context } from "../state/context";
import { Cover } from "../ui/cover";
import { button, h } from "../ui/dom";
import { explainEmpty } from "./empty";
import { label } from "../flame/paint";
import { percent, quantity } from "../ui/format";
import { Loader } from "../api/loader";
import type { Notices } from "./notices";
import { DataTable, type TableColumn } from "../ui/table";
import { short } from "../ui/text";
import type { Frame, Host, Hosts } from "../../generated/types";

export class HostsView {
  readonly element: HTMLElement;
  private readonly table: DataTable<Host>;
  private readonly loader = new Loader("Comparing hosts");
  private readonly over = new Cover();
  private answer: Hosts | null = null;
  private columns: TableColumn<Host>[] = [];

  constructor(
    private readonly context: Context,
    private readonly notices: Notices,
  ) {
    const { store } = context;
    this.table = new DataTable<Host>("Hosts", {
      order: (hostsOrder) => store.set({ hostsOrder }, "replace"),
      key: (host) => host.host,
    });
    this.loader.over(this.table.element);
    this.over.cover(this.loader.element);
    this.element = h(
      "div.rowsview.hosts",
      h(
        "p.hint",
        "Distance of a host's profile from the fleet's median profile: 0 the same, 1 nothing in common. " +
          "A click on a host compares it with the sum of all others.",
      ),
      this.table.element,
      this.over.element,
    );
  }

  update(): void {
    const query = question(this.context, "box");
    query.push(["value", valueColumn(this.context)]);
    query.push(["stack", stackColumn(this.context)]);
    const { table } = this.context.store.state;
    void this.loader.ask<Hosts>(`/api/v1/hosts/${table}`, query, (answer) => {
      this.answer = answer;
      this.columns = this.columnsIn(answer.unit);
      this.notices.say("hosts", answer.notices, table);
      this.show();
      void this.over.say(answer.hosts.length ? null : explainEmpty(this.context));
    });
    this.show();
  }

  private show(): void {
    if (!this.answer) return;
    const { table, hostsOrder } = this.context.store.state;
    const { columns } = this;
    this.table.show({ rows: this.answer.hosts, columns, order: hostsOrder, of: table });
  }

  private columnsIn(unit: string): TableColumn<Host>[] {
    return [
      {
        key: "host",
        title: "Host",
        sort: (host) => host.host,
        cell: (host) =>
          button(host.host, () => this.compare(host), {
            class: "link",
            title: "Compare with all other hosts",
          }),
      },
      {
        key: "distance",
        title: "Distance",
        numeric: true,
        sort: (host) => host.distance ?? -1,
        bar: (host) => host.distance ?? 0,
        cell: (host) => (host.distance === null ? "too few events" : host.distance.toFixed(3)),
      },
      {
        key: "total",
        title: "Total",
        numeric: true,
        sort: (host) => host.total,
        cell: (host) => quantity(host.total, unit),
      },
      {
        key: "events",
        title: "Events",
        numeric: true,
        sort: (host) => host.events,
        cell: (host) => quantity(host.events, ""),
      },
      {
        key: "frames",
        title: "Main difference",
        cell: (host) =>
          distinct(host.frames)
            .slice(0, 4)
            .map((one) => {
              const change = `${percent(one.share, 1)}, fleet ${percent(one.median, 1)}`;
              return `${short(label(one.name), 80)} (${change})`;
            })
            .join(" · "),
      },
    ];
  }

  /** The other hosts are the baseline; the host is what is shown. */
  private compare({ host }: Host): void {
    const { store } = this.context;
    const { filters } = store.state;
    const fleet = filters.filter(({ column, op }) => column !== "hostname" || op !== "eq");
    const others = { column: "hostname", op: "ne", value: host };
    store.set({
      view: "compare",
      filters: [...fleet, { column: "hostname", op: "eq", value: host }],
      "base.from": "same",
      "base.to": "",
      baseFilters: [...fleet, others],
      zoom: [],
      relative: true,
      swap: false,
    });
  }
}

const LEAST_DIFFERENCE = 0.001;

/**
 * Callers that always run through one frame have its numbers: the first of them tells all. What is
 * as large in the fleet makes no difference.
 */
function distinct(frames: Frame[]): Frame[] {
  return frames.filter((one, k) => {
    if (Math.abs(one.share - one.median) < LEAST_DIFFERENCE) return false;
    return (
      frames.findIndex((other) => other.share === one.share && other.median === one.median) === k
    );
  });
}
