// Beside the plots: the one figure of the view, its parts, and the meaning of colours.

import { cost, type Loader } from "../api/loader";
import { ROWS, category, column, columnsWith, valueColumn, type Context } from "../state/context";
import { oneOf, withFilter } from "../state/filters";
import { button, h, replace, Select } from "../ui/dom";
import { exact, quantity } from "../ui/format";
import { factorText, type Rate } from "../ui/rates";
import { square } from "../ui/swatch";
import { plain, short } from "../ui/text";
import { addsUp } from "./series";
import type { Heatmap } from "./heatmap";
import type { Figure, Figures, Timeline } from "./timeline";

const USUAL = "of the median in the rest of the range";

export class Facts {
  readonly element: HTMLElement;
  private readonly big = h("p.big");
  private readonly legend = h("div.legend.series");
  private readonly figures = h("span.figures.unseen");
  private readonly ramp = h("div.scale");
  private readonly values: Select;
  private readonly splits: Select;
  private readonly weigh: HTMLButtonElement;

  constructor(
    private readonly context: Context,
    private readonly timeline: Timeline,
    private readonly heatmap: Heatmap,
    loader: Loader,
  ) {
    const { store } = context;
    this.values = new Select("Value", (value) => store.set({ value }));
    this.splits = new Select("Split by", (by) => store.set({ by }));
    this.weigh = button("", () => this.switch());
    const pick = h("div.pick", this.values.element, this.splits.element);
    this.element = h("div.facts", this.big, this.figures, pick, this.legend, this.ramp);
    loader.over(timeline.plot.canvas, this.big, this.legend);
  }

  private switch(): void {
    const weigh = this.heatmap.weigh === "time" ? "events" : "";
    this.context.store.set({ weigh }, "replace");
  }

  update(): void {
    this.drawPick();
    const figures = this.timeline.figures();
    if (figures) {
      this.drawBig(figures);
      this.drawLegend(figures);
    }
    this.drawRamp();
  }

  private drawPick(): void {
    const one = category(this.context);
    const values = columnsWith(one, "value").map((c): [string, string] => [c.name, c.prettyname]);
    if (!values.some(([name]) => name === ROWS)) values.push([ROWS, "Rows"]);
    const by = columnsWith(one, "dimension").map((c): [string, string] => [
      c.name,
      `by ${c.prettyname.toLowerCase()}`,
    ]);
    this.values.update(values, valueColumn(this.context));
    this.splits.update([["-", "not split"], ...by], this.timeline.by || "-");
  }

  private drawBig({ answer, lines, whole }: Figures): void {
    const averaged = !addsUp(answer.aggregate);
    const words = averaged ? `${name(this.context, answer.value_column)}, mean` : lines.rate.words;
    const all = whole.value === null ? "…" : quantity(whole.value, answer.unit);
    const sum = `${averaged ? "mean" : "sum"} ${all}`;
    const number = whole.rate === null ? "…" : lines.rate.text(whole.rate);
    this.big.title = `${sum}; ${cost(answer.meta)}`;
    this.figures.textContent = `${sum} · ${exact(answer.meta.rows)} rows`;
    replace(this.big, h("b", number), ` ${words} `, factor(whole, " of usual"));
  }

  private drawLegend({ lines, each }: Figures): void {
    const { unit, aggregate } = lines.answer;
    const words = addsUp(aggregate) ? "in all" : "on average";
    const all = (value: number | null) =>
      value === null ? "…" : `${quantity(value, unit)} ${words}`;
    const items = each.map((one) => this.item(one, lines.rate, all(one.value)));
    replace(this.legend, ...(this.timeline.by ? items : []));
  }

  private item(one: Figure, rate: Rate, all: string): HTMLElement {
    const named = column(this.context, this.timeline.by);
    const text = short(plain(one.name), 80) || "(empty)";
    const number = one.rate === null ? "…" : rate.text(one.rate);
    const parts = [square(one.color), h("span.name", text), h("span.number", number), factor(one)];
    if (!named || one.rest) return h("span", { title: all }, ...parts);
    const { store } = this.context;
    const filter = oneOf(named.name, one.name, named.operators);
    const only = () => store.set({ filters: withFilter(store.state.filters, filter) });
    const item = button("", only, {
      title: `${all}; click for only this ${named.prettyname.toLowerCase()}`,
    });
    item.append(...parts.flatMap((part) => part ?? []));
    return item;
  }

  private drawRamp(): void {
    const { heatmap } = this;
    const items = heatmap.plot.shown ? (heatmap.plot.drawing?.legend() ?? []) : [];
    const time = heatmap.weigh === "time";
    this.weigh.textContent = time ? "by time" : "by events";
    this.weigh.title = `Colour is ${time ? "the time spent" : "the number of events"}: change`;
    replace(this.ramp, ...items, items.length > 0 && heatmap.ofTime && this.weigh);
  }
}

function name(context: Context, value: string): string {
  return column(context, value)?.prettyname ?? value;
}

/** How a figure differs from the usual; nothing where there is no usual. */
function factor({ rate, usual }: Figure, of = ""): HTMLElement | null {
  if (rate === null || usual === null) return null;
  const text = factorText(rate, usual);
  if (!text) return null;
  const differs = text.startsWith("×") || text === "new";
  const less = differs && rate < usual;
  const kind = differs ? (less ? "less" : "more") : "same";
  return h(`span.factor.${kind}`, { title: USUAL }, text.startsWith("×") ? text + of : text);
}
