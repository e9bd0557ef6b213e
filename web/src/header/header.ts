// The bar on top: which data, which filters, which time.

import { FilterChips } from "./chips";
import type { Context } from "../state/context";
import { copyFrom } from "../ui/copy";
import { button, h, Select } from "../ui/dom";
import { dateTime, zoneName } from "../ui/format";
import { closePopover, menu, opener, popover } from "../ui/popover";
import { rangeForm } from "./range_form";
import { iso, knownMoment, PRESETS, rangeText } from "../state/ranges";
import { NO_FRAMES, timeAlone, toAddress } from "../state/address";
import { cycleTheme, themeText } from "../ui/theme";

export class Header {
  readonly element: HTMLElement;
  private readonly categories: Select;
  private readonly chips: FilterChips;
  private readonly range: HTMLButtonElement;
  private readonly live: HTMLButtonElement;

  constructor(private readonly context: Context) {
    const { store } = context;
    this.categories = new Select("Data type", (table) => this.choose(table));
    // A category may have been added since the page was opened.
    this.categories.element.addEventListener("focus", () => context.recheck());
    this.chips = new FilterChips(context, "Filters", {
      filters: () => store.state.filters,
      change: (filters) => store.set({ filters }),
    });
    this.range = opener("", "dialog", () => this.openRange(), { class: "range" });
    this.live = button("⟳ live", () => this.toggleLive(), {
      title: "Ask again every ten seconds",
      "aria-pressed": "false",
    });
    const share = opener("share", "menu", (button) => this.share(button), {
      title: "Copy a link to this",
    });
    const more = opener("⋯", "menu", (button) => this.openMore(button), {
      "aria-label": "More",
      title: "More",
    });
    this.element = h(
      "header.bar",
      h("a.brand", { href: "/" }, "Kernelscope"),
      this.categories.element,
      this.chips.element,
      h("div.right", this.range, this.live, share, more),
    );
  }

  update(): void {
    const { store, range, categories } = this.context;
    const { state } = store;
    const types = categories.map((one): [string, string] => [one.table, one.prettyname]);
    const options: [string, string][] = [["", "Home"], ...types];
    this.categories.update(options, state.table);
    this.live.setAttribute("aria-pressed", String(state.live));
    this.range.textContent = `${rangeText(state.from, state.to, state.zone)} ▾`;
    const [from, to] = [dateTime(range.from, state.zone), dateTime(range.to, state.zone)];
    this.range.title = `${from} – ${to} ${zoneName(state.zone)}`;
    this.chips.update();
  }

  /** Range, times, filters and presets stay; a filter that the other type does not have is inactive. */
  private choose(table: string): void {
    const { box } = this.context.store.state;
    this.context.store.set({
      table,
      box: timeAlone(box),
      ...NO_FRAMES,
      stack: "",
      value: "",
      by: "",
      group: "",
    });
  }

  private openRange(): void {
    const { store, range } = this.context;
    const set = (from: string, to: string) => {
      closePopover();
      store.set({ from, to, box: null });
      this.context.refresh();
    };
    const presets = PRESETS.map(([from, text]) =>
      button(text, () => set(from, "now"), { "aria-pressed": String(store.state.from === from) }),
    );
    const { zone, from, to } = store.state;
    const form = rangeForm({ text: { from, to }, ...range }, zone, (typed) =>
      set(typed.from, typed.to),
    );
    const toggleZone = () => {
      closePopover();
      store.set({ zone: zone === "utc" ? "local" : "utc" }, "replace");
    };
    const times = button(`Times in ${zoneName(zone)}: change`, toggleZone, { class: "plain" });
    popover(this.range, "dialog", "Time range", h("div.presets", ...presets), form, times);
  }

  private toggleLive(): void {
    const { store } = this.context;
    const live = !store.state.live;
    const length = this.context.range.to - this.context.range.from;
    const preset = PRESETS.find(([from]) => knownMoment("now") - knownMoment(from) >= length - 1e6);
    const change =
      live && store.state.to !== "now" ? { from: preset?.[0] ?? "now-1h", to: "now" } : {};
    store.set({ live, ...change }, "replace");
    if (live) this.context.refresh();
  }

  /** A moving range would be another one by the time the link is opened. */
  private share(button: HTMLElement): void {
    const { store, range } = this.context;
    const { state } = store;
    const at = (address: string) => new URL(address, location.href).href;
    const fixed = toAddress({ ...state, from: iso(range.from), to: iso(range.to), live: false });
    if (!`${state.from}${state.to}`.includes("now")) {
      void copyFrom(button, at(fixed));
      return;
    }
    const moving = `Link to ${rangeText(state.from, state.to, state.zone)}, whenever it is opened`;
    const items = [
      { text: "Link to what is shown now", run: () => void copyFrom(button, at(fixed)) },
      { text: moving, run: () => void copyFrom(button, at(toAddress(state))) },
    ];
    menu(button, items, "Share");
  }

  private openMore(button: HTMLElement): void {
    const items = [
      { text: "Refresh now", run: () => this.context.refresh() },
      { text: themeText(), run: cycleTheme },
      { text: "New category …", run: () => location.assign("/new") },
      { text: "Print", run: () => window.print() },
    ];
    menu(button, items, "More");
  }
}
