// Which of several declared flame graphs is shown: of another stack column, value or grouping.

import {
  category,
  columnsWith,
  ROWS,
  stackColumn,
  valueColumn,
  type Context,
} from "../state/context";
import { NO_FRAMES } from "../state/address";
import { Select } from "../ui/dom";
import { grouping } from "./flame_query";
import type { ChartAnswer } from "../../generated/types";

type Choice = Pick<ChartAnswer, "title" | "stack" | "value" | "by">;

export class ChartSwitch {
  private readonly select: Select;

  constructor(private readonly context: Context) {
    this.select = new Select("Flame graph of", (key) => this.choose(Number(key)));
  }

  get element(): HTMLElement {
    return this.select.element;
  }

  /** There is nothing to choose from in most categories, and in views without stacks. */
  update(stacks: boolean): void {
    const choices = this.choices();
    this.element.hidden = !stacks || choices.length < 2;
    const options = choices.map((one, k): [string, string] => [String(k), this.text(one, choices)]);
    this.select.update(options, String(this.current(choices)));
  }

  /** The declared flame graphs, and stack columns that have none. */
  private choices(): Choice[] {
    const one = category(this.context);
    const charts: Choice[] = one?.charts.filter((chart) => chart.kind === "flamegraph") ?? [];
    const others = columnsWith(one, "stack")
      .filter(({ name }) => !charts.some((chart) => chart.stack === name))
      .map(({ name, prettyname }) => ({ title: prettyname, stack: name }));
    return [...charts, ...others];
  }

  /** Two charts of one title differ by their stacks. */
  private text({ title, stack }: Choice, all: Choice[]): string {
    if (all.filter((one) => one.title === title).length < 2) return title;
    const column = columnsWith(category(this.context), "stack").find(({ name }) => name === stack);
    return `${title}: ${column?.prettyname ?? stack ?? ""}`;
  }

  private current(choices: Choice[]): number {
    const stack = stackColumn(this.context);
    const value = valueColumn(this.context);
    const by = grouping(this.context);
    const fits = [
      (one: Choice) => (one.value ?? ROWS) === value && (one.by ?? "") === by,
      (one: Choice) => (one.value ?? ROWS) === value,
      () => true,
    ];
    for (const fit of fits) {
      const at = choices.findIndex((one) => one.stack === stack && fit(one));
      if (at >= 0) return at;
    }
    return 0;
  }

  /** Choose a chart; defaults of its stack column or of the category are not in the address. */
  private choose(k: number): void {
    const { store } = this.context;
    const choices = this.choices();
    const chosen = choices[k];
    if (!chosen) return;
    const stack = chosen.stack === choices[0]?.stack ? "" : (chosen.stack ?? "");
    const first = choices.find((one) => one.stack === chosen.stack) === chosen;
    const own = first
      ? { value: "", group: "" }
      : { value: chosen.value ?? ROWS, group: chosen.by ?? "-" };
    store.set({ ...NO_FRAMES, stack, ...own });
  }
}
