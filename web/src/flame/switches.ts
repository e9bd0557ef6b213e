// The switches over a flame graph. Made once: an update changes what they say, not what they are.

import { category, columnsWith, type Context } from "../state/context";
import { button, h, Select } from "../ui/dom";
import { opener } from "../ui/popover";
import { declaredGrouping, grouping } from "./flame_query";
import type { DiffColors, State } from "../state/address";

const COLORS: [string, string][] = [
  ["kind", "colour: kind"],
  ["value", "colour: self"],
  ["name", "colour: name"],
];
const DIFF_COLORS: [DiffColors, string][] = [
  ["red-green", "red – green"],
  ["red-blue", "red – blue"],
];

type Flag = "leafFirst" | "flame" | "collapse" | "sides";
/** Those that make another tree, in which the old zoom is nowhere. */
const REMAKE: Flag[] = ["leafFirst", "collapse"];

export class Switches {
  readonly element: HTMLElement;
  private readonly toggles: Record<Flag, HTMLButtonElement>;
  private readonly colors: Select;
  private readonly diffColors: Select;
  private readonly groups: Select;

  constructor(
    private readonly context: Context,
    openExport: (opener: HTMLElement) => void,
  ) {
    const { store } = context;
    this.toggles = {
      leafFirst: this.toggle("leafFirst", "leaf first", "What was on top comes first"),
      flame: this.toggle("flame", "grow upward", "From the root, as flame graphs first did"),
      collapse: this.toggle(
        "collapse",
        "collapse recursion",
        "A frame that calls itself becomes one",
      ),
      sides: this.toggle("sides", "side by side", "Both sides beside each other, not merged"),
    };
    this.groups = new Select("Group by", (group) => store.set({ group, zoom: [] }));
    this.colors = new Select("Colours", (color) => store.set({ color }, "replace"));
    this.diffColors = new Select("Colours of the change", (diffColor) =>
      store.set({ diffColor: diffColor as DiffColors }, "replace"),
    );
    this.element = h(
      "div.switches",
      ...Object.values(this.toggles),
      this.groups.element,
      this.colors.element,
      this.diffColors.element,
      opener("export ▾", "menu", openExport),
    );
  }

  private toggle(flag: Flag, text: string, title: string): HTMLButtonElement {
    const { store } = this.context;
    const turn = (): void => {
      const change: Partial<State> = { [flag]: !store.state[flag] };
      store.set(REMAKE.includes(flag) ? { ...change, zoom: [] } : change);
    };
    return button(text, turn, { title });
  }

  update(compares: boolean): void {
    const { state } = this.context.store;
    for (const [flag, element] of Object.entries(this.toggles)) {
      element.setAttribute("aria-pressed", String(state[flag as Flag]));
    }
    this.toggles.sides.hidden = !compares;
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
    const words = (by: string) => by.split(",").map((name) => names.get(name) ?? name);
    const text = (by: string) => `group: ${words(by).join(", ")}`;
    const chosen = grouping(this.context);
    const all = new Set([...names.keys(), ...(chosen ? [chosen] : [])]);
    all.delete(declared);
    const offered = [...all].map((by): [string, string] => [by, text(by)]);
    if (!declared) return [["", "not grouped"], ...offered];
    return [["", text(declared)], ["-", "not grouped"], ...offered];
  }
}
