// The page: bar, Home or one data type, panel and foot, kept in step with the address.

import { get } from "./api/client";
import { newRound } from "./api/loader";
import type { Explore } from "./explore";
import { Header } from "./header/header";
import { listenToKeys } from "./header/keys";
import type { State } from "./state/address";
import { category, resolve, type Context } from "./state/context";
import { h } from "./ui/dom";
import { Later } from "./ui/later";
import { memo } from "./ui/memo";
import { sheets } from "./ui/sheet";
import { Foot } from "./views/foot";
import { Notices, problemNotices } from "./views/notices";
import type { Categories, Notice } from "../generated/types";

const LIVE = 10_000;

export class Page {
  private readonly header: Header;
  private readonly notices = new Notices();
  private readonly foot: Foot;
  private readonly legend = h("div.legend");
  private readonly home: Later;
  private readonly exploring: Later;
  private readonly panel: Later;
  /** Null until a data type is shown. */
  private explore: Explore | null = null;
  private timer = 0;

  constructor(
    private readonly context: Context,
    told: Notice[],
  ) {
    this.header = new Header(context, {
      step: (direction) => this.explore?.step(direction),
      only: () => this.explore?.only(),
      ready: () => this.explore?.ready(),
    });
    this.foot = new Foot(context, this.notices, this.legend);
    this.notices.say("categories", problemNotices(context.problems, context.leftovers));
    this.notices.say("address", told);
    const [home, exploring, panel] = [h("div.start"), h("div.exploring"), h("div.beside")];
    this.home = new Later(home, async () => {
      const [{ Home }] = await Promise.all([
        import("./views/home"),
        sheets("changes", "home", "empty"),
      ]);
      return new Home(context, (said) => this.notices.say("home", said, ""));
    });
    this.exploring = new Later(exploring, () => this.makeExplore());
    this.panel = new Later(panel, async () => {
      const [{ Changes }] = await Promise.all([import("./views/changes"), sheets("changes")]);
      return new Changes(context);
    });
    document.body.replaceChildren(
      this.header.element,
      h("main", home, exploring),
      panel,
      this.foot.element,
    );
    this.listen();
    this.update();
  }

  private async makeExplore(): Promise<Explore> {
    const { Explore } = await import("./explore");
    const { context, notices, legend } = this;
    this.explore = new Explore(context, {
      notices,
      legend,
      judge: (wrong) => this.header.field.judge(wrong),
      answered: (answer) => {
        notices.say("timeline", answer.notices, context.store.state.table);
        this.header.presets.tell(answer);
        this.foot.read(answer.meta);
      },
    });
    return this.explore;
  }

  private listen(): void {
    this.context.store.changed = (before) => this.changed(before);
    const recheck = () => void this.recheck();
    window.addEventListener("focus", recheck);
    document.addEventListener("visibilitychange", recheck);
    listenToKeys(this.context, {
      views: () => this.explore?.views() ?? [],
      field: () => this.header.field.focus(),
      step: (direction) => this.explore?.step(direction),
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
    const catalog = await get<Categories>("api/v1/categories", []).catch(() => null);
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
    const { table, panel, from, to, zone, filters, presets, live } = store.state;
    document.body.classList.toggle("asking", panel !== "");
    this.updateBar(range, categories, table, filters, presets, from, to, zone, live);
    this.header.field.update();
    if (!table) this.notices.show("", "flame");
    this.home.update(!table);
    this.exploring.update(table !== "");
    this.panel.update(panel !== "");
  }

  private readonly updateBar = memo((..._: unknown[]) => {
    const one = category(this.context);
    document.title = one ? `${one.prettyname} · Kernelscope` : "Kernelscope";
    this.header.update();
    this.foot.update();
    this.schedule(this.context.store.state.live);
  });

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
