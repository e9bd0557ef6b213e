// The two sides of a comparison: ranges, filters, totals, and how they are compared.

import { baselineFilters, baselineRange, ELSEWHERE, rangeWords, REST, sideWords } from "./baseline";
import { Field } from "./field";
import { bounds, type Context } from "../state/context";
import { button, h, Select } from "../ui/dom";
import { icon } from "../ui/icons";
import { closePopover, opener, popover } from "../ui/popover";
import { rangeForm } from "./range_form";
import { iso } from "../state/ranges";

const SHIFTS: [string, string][] = [
  ["", "the range before"],
  ["same", "the same range"],
  ["-1d", "a day earlier"],
  ["-7d", "a week earlier"],
];
const OF_BOX: [string, string][] = [
  [REST, "the rest of the range"],
  [ELSEWHERE, "the same sizes elsewhere"],
];
const OWN = "own";

/** The amount of each side, and how many times the first the second is. */
export interface Totals {
  amounts: [string, string];
  ratio: string;
  tone: string;
}

export class CompareHead {
  readonly element: HTMLElement;
  private readonly chips: Field;
  private readonly range: Select;
  private readonly badges = [h("span.badge"), h("span.badge")] as const;
  private readonly times = [h("span.number"), h("span.number")] as const;
  private readonly amounts = [h("strong"), h("strong")] as const;
  private readonly ratio = h("span.number");
  private readonly by: Select;

  constructor(private readonly context: Context) {
    const { store } = context;
    this.chips = new Field(context, {
      label: "Filter the baseline",
      filters: () => baselineFilters(context),
      change: (baseFilters) => store.set({ baseFilters }),
    });
    this.range = new Select("Baseline", (from) => this.move(from));
    const type = opener("times …", "dialog", (button) => this.openRange(button), {
      title: "Type the baseline's times, or drag on the timeline with Shift",
    });
    const swap = button("", () => store.set({ swap: !store.state.swap }), {
      "aria-label": "Swap A and B",
      title: "Swap A and B (x)",
      class: "only-icon",
    });
    swap.append(icon("swap"));
    this.by = new Select("Compare by", (by) => store.set({ relative: by === "share" }));
    this.element = h(
      "div.sides",
      h(
        "div.side.baseline",
        this.badges[0],
        this.times[0],
        this.amounts[0],
        this.range.element,
        type,
        this.chips.element,
      ),
      swap,
      h("div.side", this.badges[1], this.times[1], this.amounts[1], this.ratio),
      h("span.grow"),
      this.by.element,
    );
  }

  update(totals: Totals | null, words: string): void {
    const { "base.from": from, relative, swap, box } = this.context.store.state;
    const known = box ? [...SHIFTS, ...OF_BOX] : SHIFTS;
    const own = !known.some(([key]) => key === from);
    this.range.update(own ? [...known, [OWN, "its own range"]] : known, own ? OWN : from);
    const letters = swap ? "BA" : "AB";
    this.badges.forEach((badge, k) => {
      badge.textContent = letters[k];
      badge.classList.toggle("b", letters[k] === "B");
    });
    const { context } = this;
    const { filters } = context.store.state;
    this.times[0].textContent = rangeWords(context, baselineRange(context));
    this.times[1].textContent = sideWords(context, bounds(context, "box"), filters);
    this.amounts.forEach((amount, k) => (amount.textContent = totals?.amounts[k] ?? ""));
    this.ratio.textContent = totals?.ratio ?? "";
    this.ratio.className = `number ${totals?.tone ?? ""}`;
    const ways: [string, string][] = [
      ["amount", `ratio of ${words}`],
      ["share", "ratio of shares"],
    ];
    this.by.update(ways, relative ? "share" : "amount");
    this.chips.update();
  }

  private move(from: string): void {
    if (from !== OWN) this.context.store.set({ "base.from": from, "base.to": "" });
  }

  private openRange(button: HTMLElement): void {
    const { store } = this.context;
    const { from, to } = baselineRange(this.context);
    const shown = { text: { from: iso(from), to: iso(to) }, from, to };
    const form = rangeForm(shown, store.state.zone, (range) => {
      closePopover();
      store.set({ "base.from": range.from, "base.to": range.to });
    });
    popover(button, "dialog", "Times of the baseline", form);
  }
}
