// Puts the page together and keeps it in step with the address.

import { ApiError, get } from "./api";
import { ChartsView, furtherCharts } from "./chartsview";
import { CompareView } from "./compare";
import { category, columnsWith, resolve, type Context } from "./context";
import { button, h, replace } from "./dom";
import { explainEmpty } from "./empty";
import { FlameView } from "./flameview";
import { Header } from "./header";
import { Heatmap } from "./heatmap";
import { HostsView } from "./hosts";
import { NewPage } from "./newpage";
import { Notices, problemNotices } from "./notices";
import type { Part } from "./part";
import { listenForDismissal } from "./popover";
import { Quality } from "./quality";
import { RowsView } from "./rowsview";
import { SandwichView } from "./sandwich";
import { SearchBox } from "./search";
import { flameQuery, stackColumn } from "./source";
import { Stacks } from "./stacks";
import { Store, type State, type View } from "./state";
import { applyTheme, onTheme } from "./theme";
import { Timeline } from "./timeline";
import type { Category, CategoryProblem } from "./types";

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

interface Catalog {
  categories: Category[];
  problems: CategoryProblem[];
}

class Page {
  private readonly header: Header;
  private readonly timeline: Timeline;
  private readonly heatmap: Heatmap;
  private readonly search: SearchBox;
  private readonly notices = new Notices();
  private readonly tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Views" });
  private readonly body = h("div", { class: "body", id: "view", role: "tabpanel" });
  private readonly flame: FlameView;
  private readonly stacks: Stacks;
  private readonly quality: Quality;
  private readonly parts: Record<View, Part>;
  private readonly empty = h("div", { class: "explained" });
  private hasRows = true;
  private timer = 0;

  constructor(private readonly context: Context) {
    this.header = new Header(context);
    this.timeline = new Timeline(context);
    this.heatmap = new Heatmap(context);
    this.search = new SearchBox(context);
    this.stacks = new Stacks(context, this.notices);
    this.flame = new FlameView("Flame graph", context, this.search, () => flameQuery(context));
    this.parts = this.makeParts();
    this.search.step = (direction) => this.parts[this.view()].next(direction);
    this.timeline.answered = (answer) => {
      this.notices.say("timeline", answer.notices);
      this.hasRows = answer.meta.rows > 0;
      void this.explain();
    };
    this.quality = new Quality(context, this.notices);
    this.notices.say("categories", problemNotices(context.problems));
    document.body.replaceChildren(
      this.header.element,
      h(
        "main",
        {},
        h("div", { class: "instruments" }, this.timeline.element, this.heatmap.element),
        h("div", { class: "tabbar" }, this.tabs, this.search.element),
        this.notices.element,
        this.empty,
        this.body,
      ),
    );
    context.store.follow((state, before) => this.changed(state, before));
    onTheme(() => this.repaint());
    this.update();
  }

  private makeParts(): Record<View, Part> {
    const { context, search, flame, stacks } = this;
    const flamePart: Part = {
      element: flame.element,
      update: () => {
        stacks.update(flame);
        flame.update();
      },
      repaint: () => flame.repaint(),
      next: (direction) => flame.next(direction),
    };
    return {
      flame: flamePart,
      sandwich: new SandwichView(context, search, stacks),
      compare: new CompareView(context, search, this.notices),
      hosts: new HostsView(context, this.notices),
      charts: new ChartsView(context),
      rows: new RowsView(context),
    };
  }

  private changed(state: State, before: State): void {
    if (state.from !== before.from || state.to !== before.to || state.table !== before.table) {
      this.context.range = resolve(state);
    }
    if (state.table !== before.table || state.view !== before.view) this.notices.clear();
    this.update();
  }

  /** Where there are stacks the graph explains itself why it is empty. */
  private async explain(): Promise<void> {
    const silent = this.hasRows || !!stackColumn(this.context);
    const explanation = silent ? null : await explainEmpty(this.context);
    replace(this.empty, explanation);
    this.body.hidden = !!explanation;
  }

  refresh(): void {
    this.context.range = resolve(this.context.store.state);
    this.update();
  }

  private update(): void {
    const { state } = this.context.store;
    const one = category(this.context);
    document.title = one ? `${one.prettyname} · Kernelscope` : "Kernelscope";
    this.header.update();
    this.search.update();
    this.timeline.update();
    this.heatmap.update();
    const view = this.view();
    this.drawTabs(view);
    const part = this.parts[view];
    if (this.body.firstChild !== part.element) replace(this.body, part.element);
    this.search.element.hidden = !OF_STACKS.includes(view) || view === "hosts";
    part.update();
    this.schedule(state.live);
    if (this.hasRows) {
      replace(this.empty);
      this.body.hidden = false;
    }
    this.quality.update();
  }

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
    return views.includes(view) ? view : views[0]!;
  }

  private drawTabs(current: View): void {
    const views = this.views();
    const shown = TABS.filter(([view]) => views.includes(view));
    replace(
      this.tabs,
      ...shown.map(([view, text]) =>
        button(text, () => this.context.store.set({ view }), {
          role: "tab",
          "aria-selected": String(view === current),
          "aria-controls": "view",
        }),
      ),
    );
  }

  private schedule(live: boolean): void {
    clearTimeout(this.timer);
    if (!live) return;
    this.timer = window.setTimeout(() => {
      if (document.hidden) this.schedule(true);
      else this.refresh();
    }, LIVE);
  }

  private repaint(): void {
    this.timeline.repaint();
    this.heatmap.repaint();
    this.parts[this.view()].repaint();
  }
}

async function start(): Promise<void> {
  applyTheme();
  listenForDismissal();
  if (location.pathname === "/new") {
    new NewPage();
    return;
  }
  const store = new Store();
  const catalog = await get<Catalog>("/api/v1/categories", []);
  if (!catalog.categories.length) {
    fail("No categories", "The server has no readable category file; its log says why.");
    return;
  }
  if (!catalog.categories.some((one) => one.table === store.state.table)) {
    const first =
      catalog.categories.find((one) => columnsWith(one, "stack").length) ?? catalog.categories[0]!;
    store.set({ table: first.table }, "replace");
  }
  let page: Page | null = null;
  const context: Context = {
    store,
    categories: catalog.categories,
    problems: catalog.problems,
    range: resolve(store.state),
    sizes: null,
    refresh: () => page?.refresh(),
  };
  page = new Page(context);
}

function fail(title: string, detail: string): void {
  document.body.replaceChildren(
    h("main", { class: "empty" }, h("h1", {}, title), h("p", {}, detail)),
  );
}

start().catch((error: unknown) => {
  if (error instanceof ApiError) fail(error.title, error.detail);
  else throw error;
});
