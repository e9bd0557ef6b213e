// Puts the page together and keeps it in step with the address.

import { ApiError, get } from "./api/client";
import { ChartsView, furtherCharts } from "./views/charts";
import { ChartSwitch } from "./flame/chart_switch";
import { CompareView } from "./views/compare";
import { namesBaseline } from "./header/compare_head";
import { category, columnsWith, resolve, stackColumn, type Context } from "./state/context";
import { h, replace } from "./ui/dom";
import { FlameView } from "./views/flame";
import { exact } from "./ui/format";
import { Header } from "./header/header";
import { Heatmap } from "./charts/heatmap";
import { HostsView } from "./views/hosts";
import { NewPage } from "./views/new_category";
import { newRound } from "./api/loader";
import { Notices, problemNotices, warning } from "./views/notices";
import { memo } from "./ui/memo";
import { Gutter } from "./ui/gutter";
import { Quality } from "./views/quality";
import { moment } from "./state/ranges";
import { RowsView } from "./views/rows";
import { SandwichView } from "./views/sandwich";
import { SearchBox } from "./flame/search";
import { Stacks } from "./views/stacks";
import { INITIAL, MOST_FILTERS, Store, tooMany, type State, type View } from "./state/address";
import { Tabs } from "./ui/tabs";
import { short } from "./ui/text";
import { followTheme } from "./ui/theme";
import { Timeline } from "./charts/timeline";
import type { Categories, CategoryAnswer, Notice } from "../generated/types";

/** The view under one tab. */
interface Part {
  readonly element: HTMLElement;
  /** Shows what the address says; asks the server only questions that it has not asked before. */
  update(): void;
  /** Goes to the next or previous match of the search. */
  next?(direction: 1 | -1): void;
}

const LIVE = 10_000;
const TABS: [View, string][] = [
  ["flame", "Flame graph"],
  ["sandwich", "Sandwich"],
  ["compare", "Compare"],
  ["hosts", "Hosts"],
  ["charts", "Charts"],
  ["rows", "Rows"],
];
const OF_STACKS: View[] = ["flame", "sandwich", "compare", "hosts"];

class Page {
  private readonly header: Header;
  private readonly timeline: Timeline;
  private readonly heatmap: Heatmap;
  private readonly search: SearchBox;
  private readonly chart: ChartSwitch;
  private readonly notices = new Notices();
  private readonly tabs: Tabs<View>;
  private readonly body = h("div.body", { id: "view", role: "tabpanel" });
  private readonly quality: Quality;
  private readonly parts: Record<View, Part>;
  private timer = 0;

  constructor(
    private readonly context: Context,
    told: Notice[],
  ) {
    this.tabs = new Tabs(TABS, (view) => context.store.set({ view }));
    this.header = new Header(context);
    this.timeline = new Timeline(context);
    this.heatmap = new Heatmap(context);
    this.search = new SearchBox(context);
    this.chart = new ChartSwitch(context);
    this.parts = this.makeParts();
    this.search.stepped = (direction) => this.parts[this.view()].next?.(direction);
    this.timeline.answered = (answer) => {
      this.notices.say("timeline", answer.notices, context.store.state.table);
    };
    this.heatmap.answered = (steps) => this.timeline.measureBy(steps);
    this.quality = new Quality(context, this.notices);
    this.notices.say("categories", problemNotices(context.problems, context.leftovers));
    this.notices.say("address", told);
    document.body.replaceChildren(
      this.header.element,
      h(
        "main",
        h("div.instruments", this.timeline.element, this.heatmap.element),
        h("div.tabbar", this.tabs.element, this.chart.element, this.search.element),
        this.notices.element,
        this.body,
      ),
    );
    context.store.changed = (before) => this.changed(before);
    const recheck = () => void this.recheck();
    window.addEventListener("focus", recheck);
    document.addEventListener("visibilitychange", recheck);
    this.update();
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
    const view = this.view();
    this.notices.show(state.table, view);
    this.search.update();
    const { table, filters, box, zone, live, stack, value, by } = state;
    const { "base.from": from, "base.to": to } = state;
    const shown = [range, categories, table, filters, box, view, zone, stack, value, by, from, to];
    this.updateInstruments(live, ...shown);
    this.tabs.update(this.views(), view);
    const part = this.parts[view];
    if (this.body.firstChild !== part.element) replace(this.body, part.element);
    this.chart.update(OF_STACKS.includes(view));
    this.search.element.hidden = !OF_STACKS.includes(view) || view === "hosts";
    part.update();
  }

  /** The parts above the views do not depend on a search, a zoom or an order. */
  private readonly updateInstruments = memo((live: boolean, ..._: unknown[]) => {
    const one = category(this.context);
    document.title = one ? `${one.prettyname} · Kernelscope` : "Kernelscope";
    this.header.update();
    this.timeline.update();
    this.heatmap.update();
    this.quality.update();
    this.schedule(live);
  });

  /** Which views this category has something for. */
  private views(): View[] {
    const charts = furtherCharts(category(this.context)?.charts ?? []);
    return TABS.map(([view]) => view).filter((view) => {
      if (OF_STACKS.includes(view)) return !!stackColumn(this.context);
      return view !== "charts" || charts.length > 0;
    });
  }

  private view(): View {
    const views = this.views();
    const { view } = this.context.store.state;
    return views.includes(view) ? view : views[0];
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

async function start(): Promise<void> {
  followTheme();
  if (location.pathname === "/new") {
    new NewPage();
    return;
  }
  const store = new Store();
  const catalog = await get<Categories>("/api/v1/categories", []);
  if (!catalog.categories.length) {
    fail("No categories", "The server has no readable category file; its log says why.");
    return;
  }
  const told = fixAddress(store, catalog.categories);
  let page: Page | null = null;
  const context: Context = {
    ...catalog,
    store,
    range: resolve(store.state),
    sizes: null,
    gutter: new Gutter(),
    refresh: () => page?.refresh(),
    recheck: () => void page?.recheck(),
  };
  page = new Page(context, told);
}

/** Replace values of the address that do not exist; return a notice for each. */
function fixAddress(store: Store, categories: CategoryAnswer[]): Notice[] {
  const told: string[] = [];
  const { table } = store.state;
  if (!categories.some((one) => one.table === table)) {
    const first = categories.find((one) => columnsWith(one, "stack").length) ?? categories[0];
    if (table)
      told.push(`There is no data type ${short(table, 80)} here: this is ${first.prettyname}.`);
    store.set({ table: first.table }, "replace");
  }
  const left = tooMany(location.search);
  if (left) {
    told.push(`filter: ${exact(left)} filters of the address are left out; use ${MOST_FILTERS}.`);
  }
  for (const key of ["from", "to", "base.from", "base.to"] as const) {
    const text = store.state[key];
    if (key.startsWith("base.") ? namesBaseline(text) : moment(text) !== null) continue;
    const instead = INITIAL[key] ? `${INITIAL[key]} is used instead` : "it is left out";
    told.push(`${key}=${short(text, 80)} in the address is not a time: ${instead}.`);
    store.set({ [key]: INITIAL[key] }, "replace");
  }
  return told.map(warning);
}

function fail(title: string, detail: string): void {
  document.body.replaceChildren(h("main.empty", h("h1", title), h("p", detail)));
}

start().catch((error: unknown) => {
  if (error instanceof ApiError) fail(error.title, error.detail);
  else throw error;
});
