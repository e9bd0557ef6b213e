// One data type: band, tabs and views, kept in step with the address.

import { progress } from "./api/progress";
import { Band } from "./charts/band";
import { furtherCharts } from "./charts/further";
import { ChartSwitch } from "./flame/chart_switch";
import { loadEngine } from "./flame/expression";
import { SearchBox } from "./flame/search";
import { VIEWS, type View } from "./state/address";
import { category, stackColumn, type Context } from "./state/context";
import { h, replace } from "./ui/dom";
import { memo } from "./ui/memo";
import { Tabs } from "./ui/tabs";
import type { Notices } from "./views/notices";
import type { Part } from "./views/part";
import { Parts } from "./views/parts";
import type { Quality } from "./views/quality";
import type { Timeseries } from "../generated/types";

const TABS: Record<View, string> = {
  flame: "Flame graph",
  sandwich: "Sandwich",
  compare: "Compare",
  hosts: "Hosts",
  charts: "Charts",
  rows: "Rows",
};
const OF_STACKS: View[] = ["flame", "sandwich", "compare", "hosts"];

/** The parts of the page around it. */
export interface Around {
  notices: Notices;
  /** The place in the foot for the meaning of the colours. */
  legend: HTMLElement;
  /** Whether the search is at fault. */
  judge(wrong: boolean): void;
  /** The band has an answer. */
  answered(answer: Timeseries): void;
}

export class Explore {
  readonly element: HTMLElement;
  private readonly band: Band;
  private readonly search: SearchBox;
  private readonly chart: ChartSwitch;
  private readonly tabs: Tabs<View>;
  /** Null until it is loaded: the picture comes first. */
  private quality: Quality | null = null;
  private readonly parts: Parts;
  /** For a screen reader: the bar and the tabs say the same to the eye. */
  private readonly heading = h("h1.unseen");
  /** Fixed places, so that nothing moves when a view or a part of it comes or goes. */
  private readonly path = h("div.path");
  private readonly tools = h("div.tools");
  private readonly body = h("div.body", { id: "view", role: "tabpanel" });

  constructor(
    private readonly context: Context,
    private readonly around: Around,
  ) {
    const names = VIEWS.map((view): [View, string, View] => [view, TABS[view], view]);
    this.tabs = new Tabs(names, (view) => context.store.set({ view }));
    this.search = new SearchBox(context);
    this.search.judged = (wrong) => around.judge(wrong);
    this.band = new Band(context, (answer) => around.answered(answer));
    this.chart = new ChartSwitch(context);
    this.parts = new Parts(context, this.search, around.notices, () => this.update());
    this.search.stepped = (direction) => this.step(direction);
    void this.ask();
    const { path, tools } = this;
    this.element = h(
      "div.explore",
      this.heading,
      this.band.element,
      h("div.tabbar", this.tabs.element, path, this.chart.element, this.search.element, tools),
      h("div.work", this.body),
    );
  }

  private async ask(): Promise<void> {
    const { Quality } = await import("./views/quality");
    this.quality = new Quality(this.context, this.around.notices);
    progress.after(this.askQuality);
  }

  private readonly askQuality = (): void => {
    if (this.context.store.state.table) this.quality?.update();
  };

  /** Goes to the next or previous match of the search. */
  step(direction: 1 | -1): void {
    this.parts.get(this.view())?.next?.(direction);
  }

  /** Filters by the search. */
  only(): void {
    this.search.filter();
  }

  /** A search may follow. */
  ready(): void {
    void loadEngine();
  }

  update(): void {
    const { store, range, categories } = this.context;
    const { table, filters, presets, box, zone, stack, value, by, weigh, ...state } = store.state;
    if (!table) return;
    const view = this.view();
    this.around.notices.show(table, view);
    const { "base.from": from, "base.to": to } = state;
    const shown = [range, categories, table, filters, presets, box, view, zone];
    const { panel, baseline } = state;
    const part = this.parts.get(view);
    this.place(part);
    // Its question takes the longest: it is asked first.
    part?.update();
    this.updateInstruments(...shown, stack, value, by, weigh, from, to, panel, baseline);
    this.tabs.update(this.views(), view);
    this.heading.textContent = `${category(this.context)?.prettyname ?? table}: ${TABS[view]}`;
    this.chart.update(OF_STACKS.includes(view));
    this.search.update(OF_STACKS.includes(view) && view !== "hosts");
  }

  left(): void {
    replace(this.around.legend);
  }

  private readonly place = memo((part: Part | null) => {
    replace(this.body, part?.element);
    replace(this.path, part?.path);
    replace(this.tools, part?.tools);
    replace(this.around.legend, part?.legend);
  });

  /** The parts above the views do not depend on a search, a zoom or an order. */
  private readonly updateInstruments = memo((..._: unknown[]) => {
    this.band.update();
    progress.after(this.askQuality);
  });

  /** The views that this category has something for. */
  views(): View[] {
    const charts = furtherCharts(category(this.context)?.charts ?? []);
    return VIEWS.filter((view) => {
      if (OF_STACKS.includes(view)) return !!stackColumn(this.context);
      return view !== "charts" || charts.length > 0;
    });
  }

  private view(): View {
    const views = this.views();
    const { view } = this.context.store.state;
    return views.includes(view) ? view : (views[0] ?? "rows");
  }
}
