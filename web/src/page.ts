// The page: bar, band, tabs, view, panel and foot, kept in step with the address.

import { get } from "./api/client";
import { newRound } from "./api/loader";
import { Band } from "./charts/band";
import { ChartSwitch } from "./flame/chart_switch";
import { loadEngine } from "./flame/expression";
import { SearchBox } from "./flame/search";
import { Header } from "./header/header";
import { listenToKeys } from "./header/keys";
import { VIEWS, type State, type View } from "./state/address";
import { category, resolve, stackColumn, type Context } from "./state/context";
import { h, replace } from "./ui/dom";
import { Later } from "./ui/later";
import { memo } from "./ui/memo";
import { Tabs } from "./ui/tabs";
import { ChartsView, furtherCharts } from "./views/charts";
import { CompareView } from "./views/compare";
import { FlameView } from "./views/flame";
import { Foot } from "./views/foot";
import { HostsView } from "./views/hosts";
import { Notices, problemNotices } from "./views/notices";
import type { Part } from "./views/part";
import { Quality } from "./views/quality";
import { RowsView } from "./views/rows";
import { SandwichView } from "./views/sandwich";
import { Stacks } from "./views/stacks";
import type { Categories, Notice } from "../generated/types";

const LIVE = 10_000;
const TABS: Record<View, string> = {
  flame: "Flame graph",
  sandwich: "Sandwich",
  compare: "Compare",
  hosts: "Hosts",
  charts: "Charts",
  rows: "Rows",
};
const OF_STACKS: View[] = ["flame", "sandwich", "compare", "hosts"];

/** Fixed places, so that nothing moves when a view or a part of it comes or goes. */
function places() {
  return {
    path: h("div.path"),
    tools: h("div.tools"),
    legend: h("div.legend"),
    body: h("div.body", { id: "view", role: "tabpanel" }),
    panel: h("div.beside"),
    home: h("div.start"),
  };
}

export class Page {
  private readonly header: Header;
  private readonly band: Band;
  private readonly search: SearchBox;
  private readonly chart: ChartSwitch;
  private readonly notices = new Notices();
  private readonly tabs: Tabs<View>;
  private readonly places = places();
  private readonly explore: HTMLElement;
  private readonly home: Later;
  private readonly panel: Later;
  private readonly quality: Quality;
  private readonly foot: Foot;
  private readonly parts: Record<View, Part>;
  private timer = 0;

  constructor(
    private readonly context: Context,
    told: Notice[],
  ) {
    const names = VIEWS.map((view): [View, string, View] => [view, TABS[view], view]);
    this.tabs = new Tabs(names, (view) => context.store.set({ view }));
    this.search = new SearchBox(context);
    this.header = new Header(context, {
      step: (direction) => this.search.stepped(direction),
      only: () => this.search.filter(),
      ready: () => void loadEngine(),
    });
    this.search.judged = (wrong) => this.header.field.judge(wrong);
    this.band = new Band(context, (answer) => {
      this.notices.say("timeline", answer.notices, context.store.state.table);
      this.header.presets.tell(answer);
      this.foot.read(answer.meta);
    });
    this.chart = new ChartSwitch(context);
    this.parts = this.makeParts();
    this.search.stepped = (direction) => this.parts[this.view()].next?.(direction);
    this.quality = new Quality(context, this.notices);
    this.foot = new Foot(context, this.notices, this.places.legend);
    this.notices.say("categories", problemNotices(context.problems, context.leftovers));
    this.notices.say("address", told);
    const { home, panel } = this.places;
    this.home = new Later(home, async () => new (await import("./views/home")).Home(context));
    this.panel = new Later(
      panel,
      async () => new (await import("./views/changes")).Changes(context),
    );
    this.explore = this.makeExplore();
    this.show();
    this.listen();
    this.update();
  }

  private show(): void {
    const { home, panel } = this.places;
    document.body.replaceChildren(
      this.header.element,
      h("main", home, this.explore),
      panel,
      this.foot.element,
    );
  }

  private makeExplore(): HTMLElement {
    const { path, tools, body } = this.places;
    return h(
      "div.explore",
      this.band.element,
      h("div.tabbar", this.tabs.element, path, this.chart.element, this.search.element, tools),
      h("div.work", body),
    );
  }

  private makeParts(): Record<View, Part> {
    const { context, search, notices } = this;
    const stacks = new Stacks(context, notices);
    return {
      flame: stacks.part(new FlameView("Flame graph", context, search)),
      sandwich: stacks.part(new SandwichView(context, search)),
      compare: new CompareView(context, search, notices),
      hosts: new HostsView(context, notices),
      charts: new ChartsView(context),
      rows: new RowsView(context),
    };
  }

  private listen(): void {
    this.context.store.changed = (before) => this.changed(before);
    const recheck = () => void this.recheck();
    window.addEventListener("focus", recheck);
    document.addEventListener("visibilitychange", recheck);
    listenToKeys(this.context, {
      views: () => this.views(),
      field: () => this.header.field.focus(),
      step: (direction) => this.search.stepped(direction),
    });
  }

  private changed(before: State): void {
    const { state } = this.context.store;
    if (state.from !== before.from || state.to !== before.to || state.table !== before.table) {
      this.context.range = resolve(state);
    }
    this.update();
  }

  refresh(): void {
    this.context.range = resolve(this.context.store.state);
    newRound();
    this.update();
  }

  /** Categories come and go while the page is open. */
  async recheck(): Promise<void> {
    if (document.hidden) return;
    const catalog = await get<Categories>("/api/v1/categories", []).catch(() => null);
    const { context } = this;
    const facts = (of: Categories) => JSON.stringify([of.categories, of.problems, of.leftovers]);
    if (!catalog || facts(catalog) === facts(context)) return;
    // The shown category stays, even if its file is removed.
    const shown = category(context);
    const kept = shown && !catalog.categories.some((one) => one.table === shown.table);
    Object.assign(context, catalog);
    if (kept) context.categories.push(shown);
    this.notices.say("categories", problemNotices(context.problems, context.leftovers));
    this.update();
  }

  private update(): void {
    const { store, range, categories } = this.context;
    const { state } = store;
    const explores = state.table !== "";
    const { from, to, zone, filters, presets, live } = state;
    this.explore.hidden = !explores;
    this.home.update(!explores);
    document.body.classList.toggle("asking", state.panel !== "");
    this.panel.update(state.panel !== "");
    this.updateBar(range, categories, state.table, filters, presets, from, to, zone, live);
    this.header.field.update();
    if (explores) this.updateExplore();
    else this.notices.show("", "flame");
  }

  private readonly updateBar = memo((..._: unknown[]) => {
    const one = category(this.context);
    document.title = one ? `${one.prettyname} · Kernelscope` : "Kernelscope";
    this.header.update();
    this.foot.update();
    this.schedule(this.context.store.state.live);
  });

  private updateExplore(): void {
    const { store, range, categories } = this.context;
    const { table, filters, presets, box, zone, stack, value, by, weigh, ...state } = store.state;
    const view = this.view();
    this.notices.show(table, view);
    const { "base.from": from, "base.to": to } = state;
    const shown = [range, categories, table, filters, presets, box, view, zone];
    const { panel, baseline } = state;
    this.updateInstruments(...shown, stack, value, by, weigh, from, to, panel, baseline);
    this.tabs.update(this.views(), view);
    this.place(this.parts[view]);
    this.chart.update(OF_STACKS.includes(view));
    this.search.update(OF_STACKS.includes(view) && view !== "hosts");
    this.parts[view].update();
  }

  private readonly place = memo(({ element, path, tools, legend }: Part) => {
    replace(this.places.body, element);
    replace(this.places.path, path);
    replace(this.places.tools, tools);
    replace(this.places.legend, legend);
  });

  /** The parts above the views do not depend on a search, a zoom or an order. */
  private readonly updateInstruments = memo((..._: unknown[]) => {
    this.band.update();
    this.quality.update();
  });

  /** Which views this category has something for. */
  private views(): View[] {
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

  private schedule(live: boolean): void {
    clearTimeout(this.timer);
    if (!live) return;
    this.timer = window.setTimeout(() => {
      if (document.hidden) this.schedule(true);
      else {
        this.refresh();
        void this.recheck();
      }
    }, LIVE);
  }
}
