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

/** A stretch's answer; without a finding it is usual after all. */
interface Told {
  to: number;
  first: Finding | undefined;
  markers: NearMarker[];
  failed: boolean;
}

export class HomeEvents {
  readonly element = h("section.lead");
  title = "";
  private readonly heading = h("h1");
  private readonly list = h("ol.events");
  /** The sentence of a stretch stays while the page is open: only its end moves on. */
  private readonly told = new Map<string, Told>();
  private shown = 0;

  /** `entitled` is called when there is another title. */
  constructor(
    private readonly context: Context,
    private readonly opening: Opening,
    private readonly entitled: () => void,
  ) {
    this.element.append(this.heading, this.list);
  }

  show(answer: Overview): void {
    const known = (one: Event) => this.known(one);
    const events = answer.events.filter((one) => !one.silent && !usual(known(one)));
    // Lines come one after the other, into places that are kept for them: nothing moves.
    this.list.style.setProperty("--lines", String(events.length + silentLines(answer)));
    void this.askAll(answer, events);
  }

  /** Another view is shown: answers on their way are for the next time. */
  left(): void {
    this.shown += 1;
  }

  private async askAll(answer: Overview, events: Event[]): Promise<void> {
    const shown = ++this.shown;
    const lines: HTMLElement[] = [];
    for (const one of events) {
      let told = this.known(one);
      if (!told) {
        this.draw(answer, lines, this.asking(answer, one));
        told = await this.ask(one);
        if (shown !== this.shown) return;
      }
      if (!usual(told)) lines.push(this.line(answer, one, told));
    }
    this.draw(answer, lines);
  }

  private known(one: Event): Told | undefined {
    const told = this.told.get(this.key(one));
    return told && usual(told) && told.to !== one.to ? undefined : told;
  }

  private async ask(one: Event): Promise<Told> {
    const key = this.key(one);
    const found = await get<Changes>(CHANGES, this.query(one)).catch(() => null);
    const first = found ? ofEvent(found, one) : undefined;
    const told = { to: one.to, first, markers: found?.markers ?? [], failed: !found };
    this.told.set(key, told);
    return told;
  }

  /** The lines that are known, and what is asked now; or all of them, counted. */
  private draw(answer: Overview, lines: HTMLElement[], asking?: HTMLElement): void {
    const silent = answer.hosts.filter((one) => one.silent_since !== null);
    const range = inRange(this.context.store.state, answer);
    this.title = asking
      ? `What is unusual ${range}?`
      : titleOf(lines.length + silent.length, range);
    this.heading.textContent = this.title;
    replace(this.list, ...lines, ...(asking ? [asking] : this.silent(answer, silent)));
    this.entitled();
  }

  private query({ from, to, hosts }: Event): Query {
    const { filters } = this.context.store.state;
    const own = allFilters(this.context);
    const on: Query = hosts.length === 1 ? [["hostname", hosts[0] ?? ""]] : [];
    const chosen = filters.some(({ column }) => column === "hostname");
    return [["from", iso(from)], ["to", iso(to)], ["n", "8"], ...own, ...(chosen ? [] : on)];
  }

  private key({ from, hosts }: Event): string {
    const { filters, presets } = this.context.store.state;
    return JSON.stringify([from, hosts, filters, presets]);
  }

  private line(answer: Overview, one: Event, { first, markers }: Told): HTMLElement {
    const link = inPage(this.address(one, first?.table), "what changed →", this.opening);
    const says = first ? this.first(first, markers) : this.places(answer, one);
    return h("li.event", h("i.mk"), h("span.t", this.when(answer, one), ...says, " "), link);
  }

  private asking(answer: Overview, one: Event): HTMLElement {
    return h("li.asking", h("span.t", this.when(answer, one), ...this.places(answer, one)));
  }

  private when(answer: Overview, { from, to }: Event): HTMLElement {
    return h("b.m", stretch(from, to, newest(answer), this.context.store.state.zone));
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

  /** Without a sentence: where, and in what. */
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

function usual(told: Told | undefined): boolean {
  return told !== undefined && !told.first && !told.failed;
}

/** The finding of the event's own hosts; that a host is silent has a line beside it. */
function ofEvent({ findings }: Changes, { hosts }: Event): Finding | undefined {
  const own = (one: Finding) => one.hosts.some((host) => hosts.includes(host));
  return findings.find((one) => one.kind !== "silent" && (!one.hosts.length || own(one)));
}

function silentLines({ hosts }: Overview): number {
  const count = hosts.filter((one) => one.silent_since !== null).length;
  return Math.min(count, MOST_SILENT + 1);
}

function titleOf(count: number, range: string): string {
  if (!count) return `Nothing is unusual ${range}`;
  return count === 1
    ? `One thing is unusual ${range}`
    : `${counted(count)} things are unusual ${range}`;
}
