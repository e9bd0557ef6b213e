// Which hosts differ most from the rest, and in what.

import { question, valueColumn, type Context } from "./context";
import { button, h } from "./dom";
import { frame } from "./flame/frames";
import { percent, quantity } from "./format";
import { Loader } from "./loader";
import type { Notices } from "./notices";
import type { Part } from "./part";
import { stackColumn } from "./source";
import { DataTable, type TableColumn } from "./table";
import type { Answer } from "./types";

interface Host {
  host: string;
  /** Null where there were too few events to tell. */
  distance: number | null;
  total: number;
  events: number;
  frames: { name: string; share: number; median: number; alone: number }[];
}

interface HostsAnswer extends Answer {
  unit: string;
  fleet: number;
  hosts: Host[];
}

export class HostsView implements Part {
  readonly element: HTMLElement;
  private readonly table: DataTable<Host>;
  private readonly loader = new Loader("Comparing hosts");
  private order = "-distance";
  private answer: HostsAnswer | null = null;

  constructor(
    private readonly context: Context,
    private readonly notices: Notices,
  ) {
    this.table = new DataTable<Host>("Hosts", {
      order: (order) => {
        this.order = order;
        this.show();
      },
    });
    this.element = h(
      "div",
      { class: "rowsview hosts" },
      h(
        "p",
        { class: "hint" },
        "Distance of a host's profile from the fleet's median profile: 0 the same, 1 nothing in common.",
      ),
      this.table.element,
      this.loader.element,
    );
  }

  update(): void {
    const query = question(this.context, "box");
    query.push(["value", valueColumn(this.context)]);
    query.push(["stack", stackColumn(this.context)]);
    const path = `/api/v1/hosts/${this.context.store.state.table}`;
    void this.loader.ask<HostsAnswer>(path, query, (answer) => {
      this.answer = answer;
      this.notices.say("hosts", answer.notices);
      this.show();
    });
  }

  private show(): void {
    if (this.answer) this.table.show(this.answer.hosts, this.columns(this.answer.unit), this.order);
  }

  private columns(unit: string): TableColumn<Host>[] {
    return [
      {
        key: "host",
        title: "Host",
        numeric: false,
        sort: (host) => host.host,
        cell: (host) =>
          button(host.host, () => this.compare(host), {
            class: "link",
            title: "Compare with the fleet",
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
        title: "What makes it different",
        numeric: false,
        cell: (host) =>
          distinct(host.frames)
            .slice(0, 4)
            .map((one) => {
              const change = `${percent(one.share, 1)}, fleet ${percent(one.median, 1)}`;
              return `${frame(one.name).label} (${change})`;
            })
            .join(" · "),
      },
    ];
  }

  /** The fleet, this host included, is the baseline; the host is what is shown. */
  private compare(host: Host): void {
    const { store } = this.context;
    const { filters, baseline } = store.state;
    const fleet = filters.filter((filter) => filter.column !== "hostname");
    store.set({
      view: "compare",
      filters: [...fleet, { column: "hostname", op: "eq", value: host.host }],
      baseline: { ...baseline, from: "same", to: "", filters: fleet },
      relative: true,
      swap: false,
    });
  }

  repaint(): void {
    // Drawn by the browser, which knows the colours.
  }

  next(): void {
    // Hosts are ranked, not searched.
  }
}

const LEAST_DIFFERENCE = 0.001;

/**
 * Callers that always run through one frame have its numbers: the first of them tells all. What is
 * as large in the fleet makes no difference.
 */
function distinct(frames: Host["frames"]): Host["frames"] {
  return frames.filter((one, k) => {
    if (Math.abs(one.share - one.median) < LEAST_DIFFERENCE) return false;
    return (
      frames.findIndex((other) => other.share === one.share && other.median === one.median) === k
    );
  });
}
