// The switch of the panel "What changed here?": which times or hosts it compares with.

import { rangeForm } from "../header/range_form";
import type { Context } from "../state/context";
import { button, h, replace } from "../ui/dom";
import { closePopover, popover } from "../ui/popover";
import { baselines } from "./changes_question";

export class BaselineSwitch {
  readonly element = h("div.seg", { role: "group", "aria-label": "Compared with" });
  /** The times that a form for a range begins with. */
  private shown = { from: 0, to: 0 };

  constructor(private readonly context: Context) {}

  update(shown: { from: number; to: number }): void {
    this.shown = shown;
    const { store } = this.context;
    const buttons = baselines(this.context).map(([one, text]) => {
      const choose = (): void => {
        if (one === "range") this.chooseRange(made);
        else store.set({ baseline: one }, "replace");
      };
      const pressed = String(one === store.state.baseline);
      const popup = one === "range" ? { "aria-haspopup": "dialog", class: "caret" } : {};
      const made: HTMLElement = button(text, choose, { "aria-pressed": pressed, ...popup });
      return made;
    });
    replace(this.element, ...buttons);
  }

  /** As it is called inside a sentence. */
  name(): string {
    const { baseline } = this.context.store.state;
    const name = baselines(this.context).find(([one]) => one === baseline)?.[1] ?? "";
    return baseline === "" || baseline === "hosts" ? `the ${name}` : name;
  }

  private chooseRange(opener: HTMLElement): void {
    const { store } = this.context;
    const done = ({ from, to }: { from: string; to: string }): void => {
      closePopover();
      store.set({ baseline: "range", "base.from": from, "base.to": to }, "replace");
    };
    const text = { from: "", to: "" };
    const form = rangeForm({ text, ...this.shown }, store.state.zone, done);
    popover(opener, "dialog", "Compared with", form);
  }
}
