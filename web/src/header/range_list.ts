// The form under the range: the last minutes or hours, typed times, the zone.

import type { Context } from "../state/context";
import { PRESETS } from "../state/ranges";
import { button, h } from "../ui/dom";
import { zoneName } from "../ui/format";
import { closePopover, popover } from "../ui/popover";
import { rangeForm } from "./range_form";

export function open(context: Context, opener: HTMLElement): void {
  const { store, range } = context;
  const { zone, from, to } = store.state;
  const set = (from: string, to: string) => {
    closePopover();
    store.set({ from, to, box: null });
    context.refresh();
  };
  const presets = PRESETS.map(([start, text]) =>
    button(text, () => set(start, "now"), { "aria-pressed": String(from === start) }),
  );
  const form = rangeForm({ text: { from, to }, ...range }, zone, (typed) =>
    set(typed.from, typed.to),
  );
  const toggleZone = () => {
    closePopover();
    store.set({ zone: zone === "utc" ? "local" : "utc" }, "replace");
  };
  const times = button(`Times in ${zoneName(zone)}: change`, toggleZone, { class: "plain" });
  popover(opener, "dialog", "Time range", h("div.presets", ...presets), form, times);
}
