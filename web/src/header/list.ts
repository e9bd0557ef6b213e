// The list under a field from which the keyboard chooses, while the input keeps the focus.

import { h } from "../ui/dom";
import { icon } from "../ui/icons";
import { plain, short } from "../ui/text";
import type { Offer, Offered } from "./offers";

let made = 0;

export class OfferList {
  private readonly id = `offers-${++made}`;
  private readonly title = h("p.title");
  private readonly list = h("ul", { role: "listbox", id: this.id, "aria-label": "Completions" });
  private readonly hint = h("p.signs");
  readonly element = h("div.offers", { hidden: true }, this.title, this.list, this.hint);
  private offers: Offer[] = [];
  /** The content of each line, as text. */
  private drawn: string[] = [];
  /** The index of the marked line, -1 for none. */
  private at = -1;

  constructor(
    private readonly input: HTMLInputElement,
    private readonly choose: (offer: Offer) => void,
  ) {
    input.setAttribute("aria-controls", this.id);
    this.element.addEventListener("pointerdown", (event) => event.preventDefault());
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  get marked(): Offer | null {
    return (this.open && this.offers[this.at]) || null;
  }

  get first(): Offer | null {
    return (this.open && this.offers[0]) || null;
  }

  show({ title, offers, hint }: Offered): void {
    this.offers = offers;
    this.title.textContent = title;
    this.hint.textContent = hint;
    this.title.hidden = !title || !offers.length;
    this.hint.hidden = !hint;
    this.draw();
    this.list.hidden = !offers.length;
    this.element.hidden = !offers.length && !hint;
    this.input.setAttribute("aria-expanded", String(this.open));
    this.mark(-1);
  }

  /** Lines that say the same stay as they are: the list is drawn again with each letter. */
  private draw(): void {
    const { offers, list } = this;
    const texts = offers.map((offer) => JSON.stringify(offer));
    const same = texts.findIndex((text, k) => text !== this.drawn[k]);
    const kept = same < 0 ? offers.length : same;
    while (list.children.length > kept) list.lastElementChild?.remove();
    list.append(...offers.slice(kept).map((offer, k) => this.line(offer, kept + k)));
    this.drawn = texts;
  }

  hide(): void {
    this.show({ title: "", offers: [], hint: "" });
  }

  /** Marks the next or previous line; from the ends none is marked. */
  move(step: 1 | -1): void {
    const count = this.offers.length + 1;
    this.mark(((this.at + 1 + step + count) % count) - 1);
  }

  private mark(at: number): void {
    this.at = at;
    [...this.list.children].forEach((line, k) => {
      line.setAttribute("aria-selected", String(k === at));
      if (k === at) line.scrollIntoView({ block: "nearest" });
    });
    if (at < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `${this.id}-${at}`);
  }

  private line(offer: Offer, k: number): HTMLElement {
    const line = h(
      "li",
      { role: "option", id: `${this.id}-${k}`, onclick: () => this.choose(this.offers[k]) },
      offer.icon && null,
      h("span.key", short(plain(offer.text), 120)),
      h("span.note", short(plain(offer.note), 120)),
      h("span.number", offer.amount ?? ""),
    );
    if (offer.icon) line.prepend(icon(offer.icon));
    return line;
  }
}
