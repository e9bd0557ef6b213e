// One field for filters and search: `process=mysqld stack~ext4_ elapsed>5ms`, or a part of a name.

import { column, filterable, type Context } from "../state/context";
import type { Filter } from "../state/filters";
import { lastPiece, parseTyped, writtenText, type Typed } from "../state/typed";
import { debounce, h } from "../ui/dom";
import { icon } from "../ui/icons";
import { merged, whole, without } from "./draft";
import { OfferList } from "./list";
import type { Offer } from "./offers";
import { Tokens } from "./tokens";

/** A search that takes longer waits for a pause in the typing. */
const QUICK = 30;

export interface Filters {
  /** The name of the input. */
  label: string;
  filters(): Filter[];
  change(filters: Filter[]): void;
}

/** The part of the views in a search. */
export interface Searching {
  /** Goes to the next or previous match. */
  step(direction: 1 | -1): void;
  /** Filters by the search. */
  only(): void;
  /** The field has the focus: a search may follow. */
  ready(): void;
}

export class Field {
  readonly element: HTMLElement;
  private readonly tokens: Tokens;
  private readonly input: HTMLInputElement;
  private readonly list: OfferList;
  /** The filter that is in the input in place of its token. */
  private edited: Filter | null = null;
  private took = 0;
  /** Counts the questions for values: only the last one's answer is shown. */
  private asked = 0;

  /** Without `searching` only filters are typed. */
  constructor(
    private readonly context: Context,
    private readonly source: Filters,
    private readonly searching: Searching | null = null,
  ) {
    this.tokens = new Tokens(
      context,
      (filter) => this.edit(filter),
      (filter) => this.removed(filter),
    );
    this.input = this.makeInput();
    this.list = new OfferList(this.input, (offer) => this.take(offer));
    const inner = h("div.inner", this.tokens.element, this.input);
    const slash = searching && h("kbd", { "aria-hidden": "true" }, "/");
    const role = searching ? "search" : undefined;
    this.element = h("div.field", { role }, inner, slash, this.list.element);
    this.element.prepend(icon("search"));
    this.element.addEventListener("pointerdown", (event) => this.pressed(event));
  }

  /** `chip` stands between filters and input. */
  place(chip: HTMLElement): void {
    this.input.before(chip);
  }

  private makeInput(): HTMLInputElement {
    return h("input", {
      type: "text",
      role: "combobox",
      "aria-label": this.source.label,
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      placeholder: this.source.label,
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      oninput: () => this.typed(),
      onclick: () => this.offer(),
      onfocus: () => this.searching?.ready(),
      onblur: () => this.left(),
      onkeydown: (event: KeyboardEvent) => this.key(event),
    });
  }

  update(): void {
    const filters = this.source.filters();
    this.tokens.update(filters, this.edited);
    const { table } = this.context.store.state;
    this.input.placeholder = table ? this.source.label : "Filter all data types";
    const idle = document.activeElement !== this.input && !this.parsed.filters.length;
    if (idle && this.input.value !== this.searched) this.input.value = this.searched;
  }

  focus(): void {
    this.input.focus();
    this.input.select();
  }

  /** Marks a search that is at fault. */
  judge(wrong: boolean): void {
    this.input.setAttribute("aria-invalid", String(wrong));
  }

  private get searched(): string {
    return this.searching ? this.context.store.state.search : "";
  }

  private get parsed(): Typed {
    return parseTyped(this.input.value, filterable(this.context));
  }

  /** The text up to the caret, which is what is completed. */
  private get begun(): string {
    return this.input.value.slice(0, this.input.selectionStart ?? this.input.value.length);
  }

  private change(filters: Filter[]): void {
    this.edited = null;
    this.source.change(filters);
  }

  /** Who removes a filter by keys goes on in the field; a finger opens no keyboard. */
  private removed(filter: Filter): void {
    const byKeys = document.activeElement?.matches(":focus-visible");
    this.change(without(this.source.filters(), filter));
    if (byKeys) this.input.focus();
  }

  private edit(filter: Filter): void {
    this.edited = filter;
    const text = writtenText(filter, column(this.context, filter.column));
    this.input.value = this.searched ? `${text} ${this.searched}` : text;
    this.input.focus();
    this.input.setSelectionRange(text.length, text.length);
    this.update();
    this.offer();
  }

  private readonly searchLater = debounce(60, () => this.search());

  private typed(): void {
    if (this.took < QUICK) this.search();
    else this.searchLater();
    this.offer();
  }

  private search(): void {
    const { words } = this.parsed;
    if (!this.searching || words === this.searched) return;
    const start = performance.now();
    this.context.store.set({ search: words }, "replace");
    this.took = performance.now() - start;
  }

  /** The code of completions is loaded when the first is asked for. */
  private offer(): void {
    const asked = ++this.asked;
    void import("./offers").then(({ offered }) => {
      if (asked !== this.asked || document.activeElement !== this.input) return;
      const text = this.begun;
      const now = offered(this.context, text);
      this.list.show({ ...now, offers: [...now.offers, ...this.searchOffers()] });
      if (lastPiece(text, filterable(this.context)).column) this.offerValues(asked);
    });
  }

  private searchOffers(): Offer[] {
    const { words } = this.parsed;
    const { searching } = this;
    if (!words || !searching || !this.context.store.state.table || this.edited) return [];
    const only = "only stacks with it (Ctrl+Enter)";
    return [
      { text: words, note: "next match", icon: "search", run: () => searching.step(1) },
      { text: words, note: only, icon: "rows", run: () => this.only() },
    ];
  }

  private readonly offerValues = debounce(150, async (asked: number) => {
    const text = this.begun;
    const others = without(this.source.filters(), this.edited);
    const { offered, valueOffers } = await import("./offers");
    // Completion is a convenience: without it the value is typed.
    const offers = await valueOffers(this.context, text, others).catch(() => null);
    if (asked !== this.asked || !offers || document.activeElement !== this.input) return;
    const now = offered(this.context, text);
    this.list.show({ ...now, offers, hint: offers.length ? "" : now.hint });
  });

  private take({ typed, run }: Offer): void {
    if (!typed) {
      this.hide();
      return run?.();
    }
    const rest = this.input.value.slice(this.begun.length).replace(/^\S+/, "");
    this.input.value = typed.text + rest;
    this.input.setSelectionRange(typed.text.length, typed.text.length);
    if (typed.whole) this.commit();
    else this.offer();
  }

  /** The text becomes filters and a search, unless it is not whole. */
  private commit(): void {
    const { filters, words } = this.parsed;
    if (!whole(this.input.value, filters, filterable(this.context), this.edited)) {
      return this.offer();
    }
    const all = merged(this.source.filters(), this.edited, filters);
    this.input.value = this.searching ? words : "";
    this.hide();
    this.search();
    this.change(all);
  }

  private hide(): void {
    this.asked++;
    this.list.hide();
  }

  private only(): void {
    this.input.value = "";
    this.hide();
    this.searching?.only();
  }

  private pressed(event: PointerEvent): void {
    if (event.target instanceof Element && event.target.closest("button, input, li")) return;
    event.preventDefault();
    this.input.focus();
  }

  private left(): void {
    this.hide();
    if (!this.edited) return;
    this.edited = null;
    this.input.value = this.searched;
    this.update();
  }

  private key(event: KeyboardEvent): void {
    const { key, shiftKey } = event;
    if (key === "Enter") this.entered(event);
    else if (key === "Escape") this.escaped();
    else if (key === "ArrowDown" || key === "ArrowUp") {
      if (this.list.open) this.list.move(key === "ArrowDown" ? 1 : -1);
      else this.offer();
    } else if (key === "Tab" && !shiftKey && this.completion) this.take(this.completion);
    else if (key === "Backspace" && !this.input.selectionEnd) {
      const last = this.source.filters().at(-1);
      if (!last || this.edited) return;
      this.edit(last);
    } else return;
    event.preventDefault();
  }

  /** Tab completes what is begun, and leaves the field otherwise. */
  private get completion(): Offer | null {
    const offer = this.list.marked ?? this.list.first;
    return this.begun && offer?.typed && offer.typed.text !== this.begun ? offer : null;
  }

  private entered({ ctrlKey, metaKey, shiftKey }: KeyboardEvent): void {
    const { marked } = this.list;
    if (marked) return this.take(marked);
    if (this.edited || this.parsed.filters.length) return this.commit();
    this.search();
    if (ctrlKey || metaKey) return this.only();
    this.hide();
    this.searching?.step(shiftKey ? -1 : 1);
  }

  private escaped(): void {
    if (this.list.open) return this.hide();
    this.edited = null;
    this.input.value = "";
    this.search();
    this.input.blur();
    this.update();
  }
}
