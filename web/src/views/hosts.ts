// Which hosts are unlike those that they are alike to, and in what.

import { get } from "../api/client";
import { Loader } from "../api/loader";
import { measured } from "../flame/flame_query";
import { filterQuery, question, stackColumn, valueColumn, type Context } from "../state/context";
import { iso } from "../state/ranges";
import { Cover } from "../ui/cover";
import { button, h, replace, type Child } from "../ui/dom";
import { dateTime, quantity } from "../ui/format";
import { memo } from "../ui/memo";
import { bare, word, type Measure } from "../ui/rate";
import { explainEmpty } from "./empty";
import { HostDetail } from "./host_detail";
import { apartWords, changeWords, differences, unlike } from "./host_words";
import type { Notices } from "./notices";
import type { Host, HostOverview, Hosts, Overview } from "../../generated/types";

/** More than a person reads; a filter finds the others. */
const MOST_SHOWN = 200;

interface Column {
  key: string;
  title: string;
  numeric?: boolean;
  sort?: (host: Host) => number | string;
}

export class HostsView {
  readonly element: HTMLElement;
  private readonly head = h("tr");
  private readonly table = h("table", { "aria-label": "Hosts" });
  private readonly loader = new Loader("Comparing hosts");
  private readonly over = new Cover();
  private answer: Hosts | null = null;
  private seen = new Map<string, HostOverview>();
  private detail: HostDetail | null = null;

  constructor(
    private readonly context: Context,
    private readonly notices: Notices,
  ) {
    const list = h("div.rows", this.table);
    this.loader.over(list);
    this.over.cover(this.loader.element);
    this.element = h("div.rowsview.hosts", list, this.over.element);
  }

  update(): void {
    const query = question(this.context, "box");
    query.push(["value", valueColumn(this.context)]);
    query.push(["stack", stackColumn(this.context)]);
    const { table } = this.context.store.state;
    void this.loader.ask<Hosts>(`api/v1/hosts/${table}`, query, (answer) => {
      this.answer = answer;
      this.notices.say("hosts", answer.notices, table);
      this.show();
      void this.over.say(answer.hosts.length ? null : explainEmpty(this.context));
    });
    const { from, to } = this.context.range;
    this.look(from, to, JSON.stringify(filterQuery(this.context, [])));
    this.show();
  }

  /** Silence and losses come from all data types, and after the list: it does not wait for them. */
  private readonly look = memo((from: number, to: number, _: string) => {
    const query: [string, string][] = [
      ["from", iso(from)],
      ["to", iso(to)],
      ["points", "2"],
    ];
    void get<Overview>("api/v1/overview", query)
      .then(({ hosts }) => {
        this.seen = new Map(hosts.map((one) => [one.host, one]));
        this.show();
      })
      .catch(() => undefined);
  });

  private columns(measure: Measure): Column[] {
    const amount = measure.rate ? word(measure) : "total";
    return [
      { key: "host", title: "Host", sort: (host) => host.host },
      { key: "distance", title: "Distance", sort: (host) => host.distance ?? -1 },
      { key: "difference", title: "What makes it different" },
      { key: "alike", title: "hosts alike, and this one" },
      { key: "total", title: amount, numeric: true, sort: (host) => host.total },
      { key: "rows", title: "Rows", numeric: true, sort: (host) => host.rows },
      { key: "lost", title: "Lost", numeric: true },
      { key: "seen", title: "Seen", numeric: true },
    ];
  }

  private show(): void {
    const { answer } = this;
    if (!answer || !this.element.isConnected) return;
    const total = answer.hosts.reduce((before, host) => before + host.total, 0);
    const measure = measured(this.context, answer.unit, answer.meta, total);
    const columns = this.columns(measure);
    replace(this.head, ...columns.map((column) => this.heading(column)));
    const groups = new Map<number, Host[]>();
    for (const host of this.sorted(answer.hosts, columns)) {
      groups.set(host.group, [...(groups.get(host.group) ?? []), host]);
    }
    const known = new Set(answer.hosts.map(({ host }) => host));
    const silent = [...this.seen.values()].filter(
      (one) => one.silent_since !== null && !known.has(one.host),
    );
    const bodies = [...groups.values()].map((hosts) => this.group(hosts, measure, columns.length));
    const rest = silent.length ? [this.silentOnes(silent, columns.length)] : [];
    replace(this.table, h("thead", this.head), ...bodies, ...rest);
    this.detail?.update();
  }

  private sorted(hosts: Host[], columns: Column[]): Host[] {
    const { hostsOrder } = this.context.store.state;
    const by = columns.find(({ key }) => key === hostsOrder.replace("-", ""))?.sort;
    if (!by) return hosts;
    const sign = hostsOrder.startsWith("-") ? -1 : 1;
    const order = (a: Host, b: Host) => (by(a) < by(b) ? -sign : by(a) > by(b) ? sign : 0);
    return [...hosts].sort(order);
  }

  private heading({ key, title, numeric, sort }: Column): HTMLElement {
    const { store } = this.context;
    const { hostsOrder } = store.state;
    const down = hostsOrder === `-${key}`;
    const here = down || hostsOrder === key;
    const first = key === "host" ? key : `-${key}`;
    const next = hostsOrder === first ? (down ? key : `-${key}`) : first;
    const attributes = {
      scope: "col",
      class: numeric ? "number" : "",
      "aria-sort": here ? (down ? "descending" : "ascending") : undefined,
    };
    const text = here ? `${title} ${down ? "↓" : "↑"}` : title;
    const choose = () => store.set({ hostsOrder: next }, "replace");
    return h("th", attributes, sort ? button(text, choose) : title);
  }

  private group(hosts: Host[], measure: Measure, width: number): HTMLElement {
    const far = unlike(hosts);
    const { group, group_name: name } = hosts[0];
    const title =
      group < 0
        ? "too few events"
        : hosts.length > 1
          ? `${hosts.length} alike: ${name}`
          : `alone: ${name}`;
    const words = group < 0 ? "to be measured" : apartWords(hosts, far);
    const head = h(
      "tr.grouphead",
      h("th", { colspan: width, scope: "rowgroup" }, h("b", title), ` ${words}`),
    );
    const most = hosts.slice(0, MOST_SHOWN);
    const rest = hosts.length - most.length;
    const more = rest ? h("tr", h("td.hint", { colspan: width }, `and ${rest} more`)) : null;
    return h(
      "tbody",
      head,
      ...most.flatMap((host) => this.lines(host, hosts, far.has(host.host), measure, width)),
      more,
    );
  }

  private lines(host: Host, alike: Host[], far: boolean, measure: Measure, width: number): Child[] {
    const open = this.context.store.state.opened === host.host;
    const line = this.line(host, far, measure, open);
    if (!open) return [line];
    this.detail = this.opened(host, alike, measure);
    return [line, h("tr.detail", h("td", { colspan: width }, this.detail.element))];
  }

  private readonly opened = memo(
    (host: Host, alike: Host[], measure: Measure) =>
      new HostDetail(this.context, host, alike, measure),
  );

  private line(host: Host, far: boolean, measure: Measure, open: boolean): HTMLElement {
    const { store } = this.context;
    const toggle = () => store.set({ opened: open ? "" : host.host });
    const name = button(host.host, toggle, { "aria-expanded": String(open), class: "name" });
    const seen = this.seen.get(host.host);
    const silent = seen?.silent_since ?? null;
    const mark = h(silent === null ? "i.dot" : "i.ring", { "aria-hidden": "true" });
    const [first] = differences(host);
    const lost = seen?.lost ?? 0;
    return h(
      open ? "tr.open" : "tr",
      { onclick: (event: Event) => event.target instanceof HTMLButtonElement || toggle() },
      h("td", h("span.frame", mark, name)),
      h("td", distanceBar(host.distance, far)),
      h("td.words", silent === null ? this.sentence(host, far, measure) : this.silence(silent)),
      h("td", first ? pair(first.alike, first.here, measure, far) : ""),
      h("td.number", bare(host.total, measure)),
      h("td.number", quantity(host.rows, "")),
      h("td.number", { title: seen?.lost_text ?? "" }, tone(seen ? String(lost) : "", lost > 0)),
      h("td.number", tone(seen ? this.ago(seen.last) : "", silent !== null)),
    );
  }

  private sentence(host: Host, far: boolean, measure: Measure): Child {
    if (host.few) return h("span.hint", "too few events to say");
    const [first] = differences(host);
    if (!first) return h("span.hint", "as the others");
    const frame = h("code", first.frame);
    if (!far) {
      return h("span.hint", "as the others; most: ", frame, `, ${changeWords(first, measure)}`);
    }
    return h("span", frame, ": ", h("b", changeWords(first, measure)));
  }

  private silence(since: number): Child {
    const { zone } = this.context.store.state;
    return h("span", h("b", "silent since ", dateTime(since, zone).slice(11)));
  }

  private silentOnes(hosts: HostOverview[], width: number): HTMLElement {
    const head = h(
      "tr.grouphead",
      h("th", { colspan: width, scope: "rowgroup" }, h("b", "silent")),
    );
    const lines = hosts.map((one) =>
      h(
        "tr",
        h("td", h("span.frame", h("i.ring", { "aria-hidden": "true" }), tone(one.host, true))),
        h("td", "–"),
        h("td.words", this.silence(one.silent_since ?? one.last)),
        h("td", h("code", "systemctl status kscope-agent")),
        ...["", String(one.rows), one.lost_text].map((text) => h("td.number", text)),
        h("td.number", tone(this.ago(one.last), true)),
      ),
    );
    return h("tbody", head, ...lines);
  }

  /** Before the end of the range. */
  private ago(last: number): string {
    return quantity(Math.max(0, Math.round((this.context.range.to - last) / 1e6)), "s");
  }
}

function tone(text: string, loud: boolean): HTMLElement {
  return h("span", { class: loud ? "more" : "" }, text);
}

function distanceBar(distance: number | null, far: boolean): HTMLElement {
  if (distance === null) return h("span.hint", "–");
  const bar = h("i");
  bar.style.width = `${100 * distance}%`;
  const help = "from the hosts alike: 0 the same, 1 nothing in common";
  return h(
    "span.distance",
    { title: help },
    h(far ? "span.sharebar.loud" : "span.sharebar", bar),
    h("span.number", distance.toFixed(2)),
  );
}

/** The hosts alike above this one. */
function pair(alike: number, here: number, measure: Measure, far: boolean): HTMLElement {
  const most = Math.max(alike, here) || 1;
  const bar = (value: number, loud: boolean) => {
    const made = h("i", { class: loud ? (here > alike ? "up" : "down") : "" });
    made.style.width = `${(100 * value) / most}%`;
    return h("span.pairbar", h("span.room", made), h("span.number", bare(value, measure)));
  };
  return h("span.pairs", bar(alike, false), bar(here, far));
}
