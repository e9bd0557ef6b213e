// The controls of a flame graph. Made once: an update changes what they say, not what they are.

import { category, columnsWith, type Context } from "../state/context";
import { button, h, Select, type Attributes } from "../ui/dom";
import { icon, type Icon } from "../ui/icons";
import { menu, opener } from "../ui/popover";
import { declaredGrouping, grouping } from "./flame_query";
import type { DiffColors, State } from "../state/address";

const COLORS: [string, string][] = [
  ["kind", "kind of code"],
  ["value", "self"],
  ["name", "name"],
];
const DIFF_COLORS: [DiffColors, string][] = [
  ["red-blue", "blue to red"],
  ["red-green", "green to red"],
];

type Flag = "leafFirst" | "flame" | "collapse";
const FLAGS: [Flag, string][] = [
  ["leafFirst", "Leaf first"],
  ["flame", "Grow upward"],
  ["collapse", "Collapse recursion"],
];
/** Those that make another tree, in which the old zoom is nowhere. */
const REMAKE: Flag[] = ["leafFirst", "collapse"];

/** A button that shows an icon alone, and says its name. */
function iconed(name: Icon, label: string, open: (opener: HTMLElement) => void): HTMLElement {
  const attributes: Attributes = { "aria-label": label, title: label, class: "only-icon" };
  const made = opener("", "menu", open, attributes);
  made.append(icon(name));
  return made;
}

export class Switches {
  readonly element: HTMLElement;
  private readonly merged: HTMLButtonElement;
  private readonly apart: HTMLButtonElement;
  private readonly sides: HTMLElement;
  private readonly colors: Select;
  private readonly diffColors: Select;
  private readonly groups: Select;
  private readonly colorBox: HTMLElement;

  constructor(
    private readonly context: Context,
    openExport: (opener: HTMLElement) => void,
  ) {
    const { store } = context;
    this.merged = button("one graph", () => store.set({ sides: false }));
    this.apart = button("side by side", () => store.set({ sides: true }));
    this.sides = h(
      "div.segment",
      { role: "group", "aria-label": "Sides" },
      this.merged,
      this.apart,
    );
    this.groups = new Select("Group by", (group) => store.set({ group, zoom: [] }));
    this.colors = new Select("Colours", (color) => store.set({ color }, "replace"));
    this.diffColors = new Select("Colours of the change", (diffColor) =>
      store.set({ diffColor: diffColor as DiffColors }, "replace"),
    );
    const colors = [this.colors.element, this.diffColors.element];
    this.colorBox = h("span.choice", icon("colour"), ...colors);
    this.element = h(
      "div.switches",
      this.sides,
      iconed("turn", "Direction", (opener) => this.openDirection(opener)),
      h("span.choice", icon("group"), this.groups.element),
      this.colorBox,
      iconed("download", "Export", openExport),
    );
  }

  private openDirection(opener: HTMLElement): void {
    const { store } = this.context;
    const items = FLAGS.map(([flag, text]) => ({
      text,
      checked: store.state[flag],
      run: () => {
        const change: Partial<State> = { [flag]: !store.state[flag] };
        store.set(REMAKE.includes(flag) ? { ...change, zoom: [] } : change);
      },
    }));
    menu(opener, items, "Direction");
  }

  update(compares: boolean): void {
    const { state } = this.context.store;
    this.sides.hidden = !compares;
    this.merged.setAttribute("aria-pressed", String(!state.sides));
    this.apart.setAttribute("aria-pressed", String(state.sides));
    this.colors.element.hidden = compares;
    this.diffColors.element.hidden = !compares;
    this.colors.update(COLORS, state.color);
    this.diffColors.update(DIFF_COLORS, state.diffColor);
    const chosen = grouping(this.context);
    const declared = declaredGrouping(this.context);
    this.groups.update(this.groupings(declared), chosen === declared ? "" : chosen || "-");
  }

  private groupings(declared: string): [string, string][] {
    const columns = columnsWith(category(this.context), "dimension", "identity");
    const names = new Map(columns.map((one) => [one.name, one.prettyname.toLowerCase()]));
    const text = (by: string) =>
      by
        .split(",")
        .map((name) => names.get(name) ?? name)
        .join(", then ");
    const chosen = grouping(this.context);
    const all = new Set([...names.keys(), ...(chosen ? [chosen] : [])]);
    all.delete(declared);
    const offered = [...all].map((by): [string, string] => [by, text(by)]);
    if (!declared) return [["", "not grouped"], ...offered];
    return [["", text(declared)], ["-", "not grouped"], ...offered];
  }
}
