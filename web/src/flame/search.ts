// The result of a search of frames: in the graph, and in the rows behind it.

import { get, type Query } from "../api/client";
import {
  category,
  column,
  filterQuery,
  question,
  ROWS,
  stackColumn,
  valueColumn,
  type Context,
} from "../state/context";
import { withFilter, type Filter } from "../state/filters";
import { button, debounce, h, replace } from "../ui/dom";
import { exact, perTime } from "../ui/format";
import { icon } from "../ui/icons";
import { loadEngine } from "./expression";
import { frameFilter } from "./frame_filter";
import type { Top } from "../../generated/types";

export class SearchBox {
  readonly element: HTMLElement;
  private readonly result = h("output.number.matched", { "aria-live": "polite" });
  private readonly rows = h("span.number.hint");
  /** Goes to the next or previous match, in the view that is shown. */
  stepped: (direction: 1 | -1) => void = () => undefined;
  /** Says whether the search is at fault, where it is typed. */
  judged: (wrong: boolean) => void = () => undefined;
  /** Only the last question's answer is shown. */
  private asked = "";

  constructor(private readonly context: Context) {
    const step = (direction: 1 | -1) => () => this.stepped(direction);
    const only = button("only these", () => this.filter(), {
      title: "Filter by this search (Ctrl+Enter in the field)",
    });
    const [back, on] = [
      button("", step(-1), { "aria-label": "Previous match", title: "Previous (N)" }),
      button("", step(1), { "aria-label": "Next match", title: "Next (n)" }),
    ];
    back.append(icon("previous"));
    on.append(icon("next"));
    for (const one of [back, on]) one.classList.add("only-icon");
    this.element = h("div.search", this.result, this.rows, back, on, only);
  }

  /** `shown` where there are frames to search. */
  update(shown: boolean): void {
    const { search } = this.context.store.state;
    this.element.hidden = !shown || !search;
    if (this.element.hidden) this.say("");
    else this.count();
  }

  say(text: string, wrong = false): void {
    this.result.textContent = text;
    this.judged(wrong);
  }

  /** Searches once the engine for regular expressions is there. */
  async wait(): Promise<void> {
    this.say("…");
    if (await loadEngine()) this.context.store.set({}, "replace");
    else this.say("the server does not answer: search again", true);
  }

  /** The search as a filter of rows. */
  private get wanted(): Filter {
    return frameFilter(stackColumn(this.context), this.context.store.state.search);
  }

  filter(): void {
    const { store } = this.context;
    if (!store.state.search || !stackColumn(this.context)) return;
    store.set({ filters: withFilter(store.state.filters, this.wanted), search: "", zoom: [] });
  }

  private count(): void {
    const query = question(this.context, "box");
    const one = category(this.context);
    const by = one?.columns.find(({ role }) => role === "dimension")?.name;
    query.push(...filterQuery(this.context, [this.wanted]), ["by", by ?? ""], ["n", "1"]);
    const asked = JSON.stringify([one?.table, query]);
    if (asked === this.asked) return;
    this.asked = asked;
    replace(this.rows);
    if (by) this.countLater(asked, query);
  }

  private readonly countLater = debounce(300, async (asked: string, query: Query) => {
    if (asked !== this.asked) return;
    const one = category(this.context);
    const value = valueColumn(this.context);
    const events = one?.columns.find(({ type }) => type === "count");
    const counted = events && events.name !== value ? events : null;
    const top = (name: string) => get<Top>(`api/v1/top/${one?.table}`, [...query, ["value", name]]);
    // Without it the graph still says how much matches.
    const answers = await Promise.all([top(value), counted && top(counted.name)]).catch(() => null);
    if (!answers || asked !== this.asked) return;
    const [{ meta, total, unit }, many] = answers;
    const rate = column(this.context, value)?.rate ?? "";
    const time =
      value !== ROWS && total !== null && perTime(total, meta.to - meta.from, unit, rate);
    const number = many && `${exact(many.total ?? 0)} ${counted?.prettyname.toLowerCase()}`;
    const texts = [time, number, `${exact(meta.rows)} rows`];
    replace(this.rows, texts.filter(Boolean).join(" · "));
  });
}
