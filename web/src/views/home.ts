// Home: all data types at a glance, for the range and the filters; what is unusual comes first.

import { Loader } from "../api/loader";
import { fromAddress, toAddress } from "../state/address";
import type { Context } from "../state/context";
import { iso } from "../state/ranges";
import { button, h, replace } from "../ui/dom";
import { need } from "../ui/need";
import { plural } from "../ui/spans";
import type { Overview, TableOverview } from "../../generated/types";
import { allFilters } from "./changes_question";
import { inPage, type Opening } from "./finding";
import { firstVisit } from "./first_visit";
import { HomeAxis } from "./home_axis";
import { HomeEvents } from "./home_events";
import { hostStrip } from "./home_hosts";
import { typeLines, typeState, withData } from "./home_types";

const POINTS = "90";
/** The first rows are looked for so often, in milliseconds. */
const WAIT = 2000;

export class Home implements Opening {
  readonly element: HTMLElement;
  private readonly events: HomeEvents;
  private readonly hosts = h("section.hosts", { "aria-label": "Hosts", tabindex: 0 });
  private readonly types = h("section.types", { "aria-label": "Data types" });
  private readonly without = h("section.without", { "aria-label": "Data types without data" });
  private readonly axis: HomeAxis;
  private readonly loader = new Loader("The overview");
  private readonly content: HTMLElement;
  private answer: Overview | null = null;
  private folded = true;
  /** Stands in place of all else until there are rows. */
  private first: Promise<HTMLElement> | null = null;
  private waiting = 0;

  constructor(private readonly context: Context) {
    this.events = new HomeEvents(context, this);
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
    void this.loader.ask<Overview>("/api/v1/overview", query, (answer) => {
      this.answer = answer;
      this.draw();
    });
    this.axis.draw();
    this.entitle();
  }

  left(): void {
    clearTimeout(this.waiting);
  }

  private entitle(): void {
    const { title } = this.events;
    document.title = title ? `${title} · Kernelscope` : "Kernelscope";
  }

  private draw(): void {
    const { context, axis } = this;
    const answer = need(this.answer, "the overview");
    const { filters } = context.store.state;
    if (!filters.length && !withData(answer).length) return void this.visit();
    if (this.first) replace(this.element, this.content, this.loader.element);
    this.first = null;
    this.events.show(answer);
    this.entitle();
    this.hosts.hidden = !answer.hosts.length;
    replace(this.hosts, ...hostStrip(context, answer.hosts, answer.to));
    const lines = typeLines(context, answer, this);
    const count = plural(withData(answer).length, "data type");
    const heads = [h("div.head", count), h("div.head", "now"), h("div.head.on", "on top")];
    replace(this.types, ...heads, ...lines, axis.element);
    axis.show(answer, lines.length);
    this.drawWithout(answer.tables.filter(({ last }) => last === null));
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
  private drawWithout(tables: TableOverview[]): void {
    this.without.hidden = !tables.length;
    const toggle = (): void => {
      this.folded = !this.folded;
      this.drawWithout(tables);
    };
    const text = `${plural(tables.length, "data type")} without data`;
    const head = button(text, toggle, { class: "caret", "aria-expanded": String(!this.folded) });
    const lines = this.folded ? [] : tables.map((one) => this.emptyType(one));
    replace(this.without, head, lines.length > 0 && h("ul", ...lines));
  }

  private emptyType({ table, prettyname, description }: TableOverview): HTMLElement {
    const address = toAddress(typeState(this.context.store.state, table));
    return h("li", inPage(address, prettyname, this), h("small", ` ${description}`));
  }

  /** Follows a link within the page. */
  open(link: string): void {
    const { search } = new URL(link, location.href);
    this.context.store.set(fromAddress(search));
  }
}
