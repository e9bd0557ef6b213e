// The bar on top: which data, which filters, which time.

import { FilterChips } from "./chips";
import type { Context } from "./context";
import { button, h, replace, select } from "./dom";
import { dateTime, zoneName } from "./format";
import { closePopover, menu, popoverUnder } from "./popover";
import { iso, moment, PRESETS, rangeText } from "./ranges";
import { cycleTheme, themeText } from "./theme";

export class Header {
  readonly element: HTMLElement;
  private readonly categories = h("span");
  private readonly chips: FilterChips;
  private readonly range: HTMLButtonElement;
  private readonly live: HTMLButtonElement;

  constructor(private readonly context: Context) {
    const { store } = context;
    this.chips = new FilterChips(context, "Filters", {
      filters: () => store.state.filters,
      change: (filters) => store.set({ filters }),
    });
    this.range = button("", () => this.openRange(), {
      class: "range",
      "aria-haspopup": "dialog",
      "aria-expanded": "false",
    });
    this.live = button("⟳ live", () => this.toggleLive(), {
      title: "Ask again every ten seconds",
      "aria-pressed": "false",
    });
    const share = button("share", () => void copyLink(share), { title: "Copy a link to this" });
    const more = button("⋯", () => this.openMore(more), {
      "aria-label": "More",
      title: "More",
      "aria-haspopup": "menu",
    });
    this.element = h(
      "header",
      { class: "bar" },
      h("a", { class: "brand", href: "/" }, "Kernelscope"),
      this.categories,
      this.chips.element,
      h("div", { class: "right" }, this.range, this.live, share, more),
    );
  }

  update(): void {
    const { store, range, categories } = this.context;
    const { state } = store;
    const options = categories.map((one): [string, string] => [one.table, one.prettyname]);
    replace(
      this.categories,
      select("Data type", options, state.table, (table) => this.choose(table)),
    );
    this.live.setAttribute("aria-pressed", String(state.live));
    this.range.textContent = `${rangeText(state.from, state.to)} ▾`;
    const [from, to] = [dateTime(range.from, state.zone), dateTime(range.to, state.zone)];
    this.range.title = `${from} – ${to} ${zoneName(state.zone)}`;
    this.chips.update();
  }

  private choose(table: string): void {
    const one = this.context.categories.find((each) => each.table === table);
    const known = new Set(one?.columns.map((each) => each.name));
    const { filters, baseline } = this.context.store.state;
    this.context.store.set({
      table,
      filters: filters.filter((filter) => known.has(filter.column)),
      baseline: { ...baseline, filters: null },
      box: null,
      zoom: [],
      focus: "",
      frame: "",
      value: "",
      by: "",
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
    const { zone } = store.state;
    const from = timeInput("From", store.state.from, range.from);
    const to = timeInput("To", store.state.to, range.to);
    const error = h("p", { class: "error", role: "alert" });
    const apply = (event: Event) => {
      event.preventDefault();
      const [start, end] = [moment(from.value), moment(to.value)];
      if (start === null || end === null) {
        error.textContent = "Write a time as 2026-11-23 14:05:00 (UTC) or now-1h.";
      } else if (start >= end) {
        error.textContent = "The range ends before it begins.";
      } else set(normal(from.value), normal(to.value));
    };
    const toggleZone = () => {
      closePopover();
      store.set({ zone: zone === "utc" ? "local" : "utc" }, "replace");
    };
    const form = h(
      "form",
      { class: "absolute", onsubmit: apply },
      h("label", {}, "From", from),
      h("label", {}, "To", to),
      error,
      h("button", { type: "submit", class: "primary" }, "Show this range"),
    );
    const times = button(`Times in ${zoneName(zone)}: change`, toggleZone, { class: "plain" });
    popoverUnder(this.range, [h("div", { class: "presets" }, ...presets), form, times], {
      role: "dialog",
      label: "Time range",
    });
  }

  private toggleLive(): void {
    const { store } = this.context;
    const live = !store.state.live;
    const length = this.context.range.to - this.context.range.from;
    const preset = PRESETS.find(([from]) => moment("now")! - moment(from)! >= length - 1e6);
    const change =
      live && store.state.to !== "now" ? { from: preset?.[0] ?? "now-1h", to: "now" } : {};
    store.set({ live, ...change }, "replace");
    if (live) this.context.refresh();
  }

  private openMore(opener: HTMLElement): void {
    const box = opener.getBoundingClientRect();
    const items = [
      { text: "Refresh now", run: () => this.context.refresh() },
      { text: themeText(), run: cycleTheme },
      { text: "New category …", run: () => location.assign("/new") },
      { text: "Print", run: () => window.print() },
    ];
    menu(box.right - 180, box.bottom + 4, items, "More");
  }
}

function normal(text: string): string {
  return /^now/.test(text.trim()) ? text.trim() : iso(moment(text)!);
}

function timeInput(label: string, text: string, resolved: number): HTMLInputElement {
  const value = /^now/.test(text) ? text : iso(resolved);
  return h("input", { type: "text", "aria-label": label, value, spellcheck: "false", size: 26 });
}

async function copyLink(opener: HTMLButtonElement): Promise<void> {
  const text = opener.textContent;
  try {
    await navigator.clipboard.writeText(location.href);
    opener.textContent = "✓ copied";
  } catch {
    opener.textContent = "copy the address";
  }
  setTimeout(() => (opener.textContent = text), 1500);
}
