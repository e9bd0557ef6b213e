// The panel "What changed here?": what differs between a time and others, in all data types.

import { share } from "../header/share";
import { fromAddress } from "../state/address";
import { iso } from "../state/ranges";
import type { Context } from "../state/context";
import { copyFrom } from "../ui/copy";
import { button, h, replace } from "../ui/dom";
import { memo } from "../ui/memo";
import { icon } from "../ui/icons";
import { span, zoned } from "../ui/spans";
import { answerParts, hostsText } from "./changes_answer";
import { BaselineSwitch } from "./baseline";
import { asked, changesQuery, questionKey } from "./changes_question";
import { ChangesReader } from "./changes_reader";
import { below } from "./finding";
import { markdown, ticket } from "./ticket";

const TITLE = "What changed here?";
/** An answer about a range that moves with the clock is asked again after so many milliseconds. */
const FRESH = 120_000;

type Answer = ChangesReader["answer"];
type Failure = ChangesReader["failure"];

export class Changes {
  readonly element: HTMLElement;
  private readonly scope = h("p.scope");
  private readonly base: BaselineSwitch;
  private readonly body = h("div.findings-area", {
    role: "region",
    "aria-label": "Findings",
    tabindex: 0,
  });
  private readonly status = h("p.progress", { role: "status" });
  private readonly copy = button("Copy for ticket", () => this.copyText(), {
    class: "primary",
    title: "Copy the sentences (c)",
  });
  private readonly reader = new ChangesReader(() => this.draw());
  private key = "";
  private askedAt = 0;
  private here = false;
  private all = false;
  /** The link that was followed last: the way back leads to it. */
  private followed = "";
  private cameFrom: HTMLElement | null = null;

  constructor(private readonly context: Context) {
    this.base = new BaselineSwitch(context);
    this.element = h(
      "section.panel",
      {
        "aria-label": TITLE,
        tabindex: -1,
        onkeydown: (event: KeyboardEvent) => this.press(event),
      },
      this.header(),
      this.body,
      this.footer(),
    );
  }

  private header(): HTMLElement {
    const close = h(
      "button.only-icon",
      { "aria-label": "Close", title: "Close (Esc)", type: "button", onclick: () => this.close() },
      icon("close"),
    );
    // The progress is where nothing moves when it goes.
    const title = h("div.title", h("h2", TITLE), this.status, close);
    return h("header", title, this.scope, this.base.element);
  }

  private footer(): HTMLElement {
    const asMarkdown = button("Markdown", () => this.copyMarkdown(asMarkdown), {
      class: "outline",
      title: "Copy the lines as Markdown, with their links",
    });
    const link = button("Share link", () => share(this.context, link), { class: "outline" });
    const compare = button("Compare side by side", () => this.compare(), { class: "outline wide" });
    const keys = h("span.keys.wide", h("kbd", "↑ ↓"), h("kbd", "↵ open"));
    return h("footer", this.copy, asMarkdown, link, compare, h("span.grow"), keys);
  }

  /** Asks only what it has not asked before. */
  update(): void {
    const { state } = this.context.store;
    const key = questionKey(this.context);
    const old = !this.here && !state.box && performance.now() - this.askedAt > FRESH;
    if (key !== this.key || old) this.ask(key);
    else this.draw();
    if (!this.here) this.arrive();
  }

  /** The focus goes back to where it came from, unless a link was followed. */
  left(): void {
    this.here = false;
    if (this.cameFrom?.isConnected) this.cameFrom.focus({ preventScroll: true });
  }

  private ask(key: string): void {
    this.key = key;
    this.all = false;
    this.askedAt = performance.now();
    void this.reader.ask(changesQuery(this.context));
  }

  private arrive(): void {
    this.here = true;
    const active = document.activeElement;
    this.cameFrom = active instanceof HTMLElement ? active : null;
    (
      this.links().find((one) => one.getAttribute("href") === this.followed) ?? this.element
    ).focus();
  }

  private close(): void {
    this.context.store.set({ panel: "" });
  }

  private draw(): void {
    const { answer, failure, reading } = this.reader;
    const { filters, box, baseline, zone, ...rest } = this.context.store.state;
    const base = [rest["base.from"], rest["base.to"]];
    this.drawParts(answer, failure, reading, this.all, filters, box, baseline, zone, ...base);
  }

  /** An update of the rest of the page leaves the lines, and what is selected in them, alone. */
  private readonly drawParts = memo((answer: Answer, failure: Failure, ..._: unknown[]) => {
    const { context } = this;
    const { zone } = context.store.state;
    const { from, to } = answer ?? asked(context);
    const hosts = context.store.state.filters.filter(({ column }) => column === "hostname");
    const rest = answer
      ? hostsText(
          answer,
          hosts.map(({ value }) => value),
        )
      : ", against";
    replace(this.scope, h("b.m", span(from, to, zone)), ` ${zoned("", zone).trim()}`, rest);
    this.base.update({ from: answer?.base_from ?? from, to: answer?.base_to ?? to });
    const showing = { zone, base: this.base.name(), all: this.all, showAll: () => this.showAll() };
    const parts = answer ? answerParts(answer, showing, { open: (link) => this.open(link) }) : [];
    replace(this.body, ...parts, failure && this.failed(failure.title, failure.detail));
    this.drawStatus();
  });

  private drawStatus(): void {
    const { answer, reading, failure } = this.reader;
    const { findings = [], read = 0, of = 0, done } = answer ?? {};
    this.copy.disabled = !answer;
    if (reading) {
      const cancel = button("cancel", () => this.reader.cancel(), { class: "lnk" });
      const far = of ? `reading ${read} of ${of} parts, ` : "reading, ";
      return replace(this.status, far, cancel);
    }
    const count = findings.length === 1 ? "1 finding" : `${findings.length} findings`;
    replace(this.status, done && !failure && h("span.unseen", count));
  }

  private failed(title: string, detail: string): HTMLElement {
    const again = button("Try again", () => this.ask(this.key), { class: "outline" });
    return h("div.failed", { role: "alert" }, h("b", title), h("p", detail), again);
  }

  private showAll(): void {
    this.all = true;
    this.draw();
  }

  /** The panel makes room for the view that the link shows; the browser's way back leads here. */
  private open(link: string): void {
    const { store } = this.context;
    const { zone, presets } = store.state;
    this.followed = below(link);
    this.cameFrom = null;
    const { search } = new URL(link, location.href);
    store.set({ ...fromAddress(search), zone, presets });
  }

  private compare(): void {
    const { store } = this.context;
    const { answer } = this.reader;
    if (!answer) return;
    const table = store.state.table || (answer.findings[0] ?? answer.more[0])?.table || "";
    const base = { "base.from": iso(answer.base_from), "base.to": iso(answer.base_to) };
    store.set({ table, view: "compare", panel: "", ...base });
  }

  private copyText(): void {
    const { answer } = this.reader;
    if (answer) void copyFrom(this.copy, ticket(answer, location.href));
  }

  private copyMarkdown(opener: HTMLElement): void {
    const { answer } = this.reader;
    const { zone } = this.context.store.state;
    if (answer) void copyFrom(opener, markdown(answer, zone, location.href));
  }

  private links(): HTMLElement[] {
    return [...this.body.querySelectorAll<HTMLElement>("a.view")];
  }

  private press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const links = this.links();
    const at = links.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") this.close();
    else if (event.key === "c") this.copyText();
    else if (step && links.length) links[clamp(at < 0 ? 0 : at + step, links.length)]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function clamp(index: number, length: number): number {
  return Math.max(0, Math.min(length - 1, index));
}
