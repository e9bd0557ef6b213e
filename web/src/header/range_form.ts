// Typing a range of time: two inputs, in the zone that the page shows.

import { h } from "../ui/dom";
import { dateTime, zoneName, type Zone } from "../ui/format";
import { iso, moments } from "../state/ranges";

export interface RangeText {
  from: string;
  to: string;
}

/** `shown` is what the inputs begin with: `now…` as it is, moments in the zone. */
export function rangeForm(
  shown: { text: RangeText; from: number; to: number },
  zone: Zone,
  done: (range: RangeText) => void,
): HTMLFormElement {
  const from = timeInput("From", shown.text.from, shown.from, zone);
  const to = timeInput("To", shown.text.to, shown.to, zone);
  const error = h("p.error", { role: "alert" });
  const apply = (event: Event): void => {
    event.preventDefault();
    const [start, end] = moments(from.value, to.value, zone);
    if (start === null || end === null) {
      error.textContent = `Write a time as 2026-11-23 14:05:00 (${zoneName(zone)}) or now-1h.`;
    } else if (start >= end) {
      error.textContent = "The range ends before it begins.";
    } else done({ from: normal(from.value, start), to: normal(to.value, end) });
  };
  return h(
    "form.absolute",
    { onsubmit: apply },
    h("label", "From", from),
    h("label", "To", to),
    error,
    h("button", { type: "submit", class: "primary" }, "Show this range"),
  );
}

function normal(text: string, time: number): string {
  return text.trim().startsWith("now") ? text.trim() : iso(time);
}

function timeInput(label: string, text: string, resolved: number, zone: Zone): HTMLInputElement {
  const value = text.startsWith("now") ? text : dateTime(resolved, zone, resolved % 1e6 !== 0);
  return h("input", { type: "text", "aria-label": label, value, spellcheck: "false", size: 26 });
}
