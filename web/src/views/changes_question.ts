// The question of the panel "What changed here?": about which time, against which.

import type { Query } from "../api/client";
import { type Baseline } from "../state/address";
import { queryOf, type Context } from "../state/context";
import { iso, moments } from "../state/ranges";
import { span } from "../ui/spans";

const NO_PRESETS = "-";

/** The time that the panel asks about: the box's, or else the range. */
export function asked({ store, range }: Context): { from: number; to: number } {
  return store.state.box ?? range;
}

/** All that the answer depends on, except the moments of a range that moves with the clock. */
export function questionKey({ store }: Context): string {
  const {
    from,
    to,
    box,
    filters,
    presets,
    baseline,
    "base.from": start,
    "base.to": end,
  } = store.state;
  const base = baseline === "range" ? [start, end] : [];
  return JSON.stringify([box ? [box.from, box.to] : [from, to], filters, presets, baseline, base]);
}

export function changesQuery(context: Context): Query {
  const { state } = context.store;
  const { from, to } = asked(context);
  return [
    ["from", iso(from)],
    ["to", iso(to)],
    ...baseQuery(state.baseline, state["base.from"], state["base.to"]),
    ...allFilters(context),
  ];
}

/** Filters that a data type does not take are left to the server, which says so. */
export function allFilters({ store }: Context): Query {
  const { filters, presets } = store.state;
  const shown: Query = presets === NO_PRESETS ? [["presets", "none"]] : [];
  return [...queryOf(filters), ...shown];
}

function baseQuery(baseline: Baseline, from: string, to: string): Query {
  if (!baseline) return [];
  const [start, end] = moments(from, to);
  if (baseline !== "range") return [["baseline", baseline]];
  if (start === null || end === null) return [];
  return [
    ["baseline", "range"],
    ["base.from", iso(start)],
    ["base.to", iso(end)],
  ];
}

/** The sets of comparison, and how they are called here. */
export function baselines(context: Context): [Baseline, string][] {
  const { state } = context.store;
  const [start, end] = moments(state["base.from"], state["base.to"]);
  const chosen = state.baseline === "range" && start !== null && end !== null;
  return [
    ["", "time before"],
    ["day", "yesterday"],
    ["week", "last week"],
    ["hosts", "other hosts"],
    ["range", chosen ? span(start, end, state.zone) : "range"],
  ];
}
