// Home's sentences: what is unusual in the range, asked of "What changed here?" one after the other.

import { get, type Query } from "../api/client";
import { toAddress, type State } from "../state/address";
import { iso } from "../state/ranges";
import type { Context } from "../state/context";
import { h, replace, type Child } from "../ui/dom";
import { clock, counted, howLong, roughly } from "../ui/spans";
import { plain, short } from "../ui/text";
import type {
  Changes,
  Event,
  Finding,
  HostOverview,
  NearMarker,
  Overview,
} from "../../generated/types";
import { inPage, type Opening } from "./finding";
import { inRange, newest, stretch } from "./home_moment";
import { allFilters } from "./changes_question";
import { CHANGES } from "./changes_reader";
import { continued, sentence } from "./words";

/** So many silent hosts have a line each. */
const MOST_SILENT = 3;
const MOST_NAMES = 3;
/** A marker of the same host is named if it is at most so many seconds before. */
const NEAR = 300;

export class HomeEvents {
  readonly element = h("section.lead");
  title = "";
  private readonly heading = h("h1");
  private readonly list = h("ol.events");
  /** The sentence of a stretch stays while the page is open: only its end moves on. */
  private readonly said = new Map<string, Changes | null>();
  private shown = 0;

  constructor(
    private readonly context: Context,
    private readonly opening: Opening,
  ) {
    this.element.append(this.heading, this.list);
  }

  show(answer: Overview): void {
    const events = answer.events.filter(({ silent }) => !silent);
    const silent = answer.hosts.filter((one) => one.silent_since !== null);
    const { state } = this.context.store;
    const range = inRange(state, answer);
    this.title = titleOf(events.length + silent.length, range);
    this.heading.textContent = this.title;
    const lines = events.map((one) => ({ one, element: h("li.event") }));
    for (const { one, element } of lines) this.draw(answer, one, element);
    replace(this.list, ...lines.map(({ element }) => element), ...this.silent(answer, silent));
    void this.askAll(answer, lines);
  }

  private async askAll(
    answer: Overview,
    lines: { one: Event; element: HTMLElement }[],
  ): Promise<void> {
    const shown = ++this.shown;
    for (const { one, element } of lines) {
      const key = this.key(one);
      if (this.said.has(key)) continue;
      const found = await get<Changes>(CHANGES, this.query(one)).catch(() => null);
      this.said.set(key, found);
      if (shown !== this.shown) return;
      this.draw(answer, one, element);
    }
  }

  private query({ from, to, hosts }: Event): Query {
    const { filters } = this.context.store.state;
    const own = allFilters(this.context);
    const on: Query = hosts.length === 1 ? [["hostname", hosts[0] ?? ""]] : [];
    const chosen = filters.some(({ column }) => column === "hostname");
    return [["from", iso(from)], ["to", iso(to)], ["n", "8"], ...own, ...(chosen ? [] : on)];
  }

  private key({ from, hosts }: Event): string {
    return JSON.stringify([from, hosts, this.context.store.state.filters]);
  }

  private draw(answer: Overview, one: Event, element: HTMLElement): void {
    const { state } = this.context.store;
    const when = stretch(one.from, one.to, newest(answer), state.zone);
    const found = this.said.get(this.key(one));
    const first = found && ofEvent(found, one);
    const link = inPage(this.address(one, first?.table), "what changed →", this.opening);
    const says = first ? this.first(first, found?.markers ?? []) : this.places(answer, one);
    replace(element, h("i.mk"), h("span.t", h("b.m", when), ...says, " "), link);
  }

  private first(first: Finding, markers: NearMarker[]): Child[] {
    const near = ({ host, seconds }: NearMarker) =>
      seconds <= 0 && seconds >= -NEAR && (!host || first.hosts.includes(host));
    const marker = markers.filter(near).at(-1);
    const after = marker && [
      `; ${howLong(-marker.seconds * 1e6)} after `,
      h("b", short(plain(marker.message.split(": ")[0] ?? ""), 60)),
    ];
    return [" ", ...sentence(continued(first.sentence)), ...(after ?? [])];
  }

  /** Until the sentence is there: where, and in what. */
  private places({ tables }: Overview, one: Event): Child[] {
    const names = one.tables.map((name) => tables.find(({ table }) => table === name)?.prettyname);
    const on = one.hosts.length && one.hosts.length <= MOST_NAMES ? one.hosts.join(", ") : "";
    return [on && " on ", on && h("span.m", on), `: ${names.filter(Boolean).join(", ")}`];
  }

  /** The type with the first finding, with the stretch selected and the panel open. */
  private address({ from, to, tables }: Event, table: string | undefined): string {
    const { state } = this.context.store;
    const box = { column: "", from, to, low: null, high: null };
    const next: State = { ...state, table: table || (tables[0] ?? ""), box, live: false };
    return toAddress({ ...next, panel: "changes", baseline: "" });
  }

  private silent({ to }: Overview, hosts: HostOverview[]): HTMLElement[] {
    const rest = hosts.length - MOST_SILENT;
    const lines = hosts.slice(0, MOST_SILENT).map((one) => this.silentHost(one, to));
    return rest > 0 ? [...lines, h("li", h("i.mk"), `and ${rest} more hosts are silent`)] : lines;
  }

  private silentHost(one: HostOverview, to: number): HTMLElement {
    const { state } = this.context.store;
    const filters = [{ column: "hostname", op: "eq", value: one.host }];
    const agent = toAddress({ ...state, table: "agent", view: "rows", filters, box: null });
    const since = one.silent_since ?? one.last;
    return h(
      "li",
      h("i.mk"),
      h(
        "span.t",
        h("b.m", `since ${clock(since - (since % 60e6), state.zone)}`),
        " ",
        h("span.m", short(plain(one.host), 60)),
        " is ",
        h("b", "silent"),
        `: last seen ${roughly(to - one.last)} ago `,
      ),
      inPage(agent, "agent →", this.opening),
    );
  }
}

/** The finding of the event's own hosts; that a host is silent has a line beside it. */
function ofEvent({ findings }: Changes, { hosts }: Event): Finding | undefined {
  const told = findings.filter(({ kind }) => kind !== "silent");
  return told.find((one) => one.hosts.some((host) => hosts.includes(host))) ?? told[0];
}

function titleOf(count: number, range: string): string {
  if (!count) return `Nothing is unusual ${range}`;
  return count === 1
    ? `One thing is unusual ${range}`
    : `${counted(count)} things are unusual ${range}`;
}
