// Home: all data types at a glance, for the range and the filters; what is unusual comes first.

import { get } from "../api/client";
import { Loader } from "../api/loader";
import { fromAddress, toAddress, type State } from "../state/address";
import type { Context } from "../state/context";
import { iso } from "../state/ranges";
import { button, h, replace } from "../ui/dom";
import { zoneName } from "../ui/format";
import { memo } from "../ui/memo";
import { plural } from "../ui/spans";
import type { CategoryAnswer, HeardHosts, Overview, Notice } from "../../generated/types";
import { allFilters } from "./changes_question";
import { inPage, type Opening } from "./finding";
import { firstVisit } from "./first_visit";
import { HomeAxis } from "./home_axis";
import { HomeEvents } from "./home_events";
import { goneHosts, hostStrip } from "./home_hosts";
import { typeLines, typeState } from "./home_types";

const POINTS = "90";
/** Markers are on the axis of all lines, and what agents say of themselves is at the hosts. */
const WITHOUT_LINE = ["marker", "agent"];
/** The first rows are looked for so often, in milliseconds. */
const WAIT = 2000;

export class Home implements Opening {
  readonly element: HTMLElement;
  private readonly events: HomeEvents;
  private readonly hosts = h("section.hosts", { "aria-label": "Hosts", tabindex: 0, hidden: true });
  private readonly types = h("section.types", { "aria-label": "Data types" });
  private readonly without = h("section.without", { "aria-label": "More about the data types" });
  private readonly axis: HomeAxis;
  private readonly loader = new Loader("The overview");
  private readonly content: HTMLElement;
  private answer: Overview | null = null;
  private heard: HeardHosts | null = null;
  private folded = true;
  /** The only thing on Home until there are rows. */
  private first: Promise<HTMLElement> | null = null;
  private waiting = 0;

  constructor(
    private readonly context: Context,
    /** Gets what changes the meaning of the whole page. */
    private readonly warn: (said: Notice[]) => void,
  ) {
    this.events = new HomeEvents(context, this, () => this.entitle());
    this.axis = new HomeAxis(context);
    this.axis.selectOn(this.types);
    const { events, hosts, types, without } = this;
    this.content = h("div.content", events.element, hosts, types, without);
    this.loader.over(this.content);
    this.element = h("div.home", this.content, this.loader.element);
  }

  update(): void {
    const { range } = this.context;
    const query: [string, string][] = [
      ["from", iso(range.from)],
      ["to", iso(range.to)],
      ["points", POINTS],
      ...allFilters(this.context),
    ];
    void this.loader.ask<Overview>("api/v1/overview", query, (answer) => {
      this.answer = answer;
      this.warn(answer.notices.filter(({ level }) => level === "warning"));
      this.draw(answer, this.context.store.state);
    });
    void this.hear();
    // Links hold the whole state, so they follow it before there is another answer.
    if (this.answer) this.draw(this.answer, this.context.store.state);
  }

  /** The hosts that are silent now, whatever the range; without them the rest is still right. */
  private async hear(): Promise<void> {
    this.heard = await get<HeardHosts>("api/v1/heard", []).catch(() => null);
    if (this.answer) this.drawHosts(this.answer, this.heard);
  }

  left(): void {
    clearTimeout(this.waiting);
    this.events.left();
  }

  private entitle(): void {
    const { title } = this.events;
    document.title = title ? `${title} · Kernelscope` : "Kernelscope";
  }

  private readonly draw = memo((answer: Overview, { filters }: State) => {
    const { context, axis } = this;
    if (!filters.length && !answer.tables.length) return void this.visit();
    if (this.first) this.begin();
    this.events.show(answer);
    this.drawHosts(answer, this.heard);
    const tables = answer.tables.filter(({ table }) => !WITHOUT_LINE.includes(table));
    const lines = typeLines(context, answer, tables, this);
    const count = plural(tables.length, "data type");
    const heads = [h("div.head", count), h("div.head", "now"), h("div.head.on", "on top")];
    replace(this.types, ...heads, ...lines, axis.element);
    axis.show(answer, lines.length);
    const shown = new Set([...WITHOUT_LINE, ...tables.map(({ table }) => table)]);
    this.drawWithout(context.categories.filter(({ table }) => !shown.has(table)));
  });

  private drawHosts(answer: Overview, heard: HeardHosts | null): void {
    const { context } = this;
    const gone = goneHosts(context, heard, answer.hosts, answer.to);
    this.hosts.hidden = !answer.hosts.length && !gone.length;
    replace(this.hosts, ...hostStrip(context, answer.hosts, answer.to, gone));
  }

  /** The first rows are there; the next ones follow while one looks. */
  private begin(): void {
    this.first = null;
    replace(this.element, this.content, this.loader.element);
    queueMicrotask(() => this.context.store.set({ live: true }, "replace"));
  }

  /** Nothing has ever come in: says how to begin, and looks for the first rows. */
  private async visit(): Promise<void> {
    clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => this.context.refresh(), WAIT);
    if (this.first) return;
    const first = firstVisit();
    this.first = first;
    const shown = await first;
    if (this.first === first) replace(this.element, shown);
  }

  /** Types without any data are out of the way, and one click away. */
  private drawWithout(tables: CategoryAnswer[]): void {
    const toggle = (): void => {
      this.folded = !this.folded;
      this.drawWithout(tables);
    };
    const text = `${plural(tables.length, "data type")} without data`;
    const head = button(text, toggle, { class: "caret", "aria-expanded": String(!this.folded) });
    const lines = this.folded ? [] : tables.map((one) => this.emptyType(one));
    const { zone } = this.context.store.state;
    const note =
      "Each line has its own scale from 0; the band is the usual, the median ± 3 deviations. " +
      `Times are ${zoneName(zone)}.`;
    const said = (this.answer?.notices ?? []).map(({ text }) => ` ${text}`);
    replace(
      this.without,
      h("p", tables.length > 0 && head, h("span", note, ...said)),
      lines.length > 0 && h("ul", ...lines),
    );
  }

  private emptyType({ table, prettyname, description }: CategoryAnswer): HTMLElement {
    const address = toAddress(typeState(this.context.store.state, table));
    return h("li", inPage(address, prettyname, this), h("small", ` ${description}`));
  }

  /** Follows a link within the page. */
  open(link: string): void {
    const { search } = new URL(link, location.href);
    this.context.store.set(fromAddress(search));
  }
}
