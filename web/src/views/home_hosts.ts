// Home's strip of hosts: groups of hosts that do the same, how far each is from its group, and who is silent.

import { withFilter, filterText, oneOf, type Filter } from "../state/filters";
import type { Context } from "../state/context";
import { h } from "../ui/dom";
import { dateTime, quantity } from "../ui/format";
import { plural, roughly } from "../ui/spans";
import { stretched, svg } from "../ui/svg";
import { plain, short } from "../ui/text";
import type { HeardHost, HeardHosts, HostOverview } from "../../generated/types";

/** So many hosts have room; all are in the view of hosts. */
const MOST_HOSTS = 60;
/** From here on a host is unlike its group. */
const UNLIKE = 0.3;
const HOST = "hostname";
/** So many silent hosts have their names here; `kscope hosts` lists all. */
const MOST_GONE = 12;
/** A range that ends so long before now (us) is not about now. */
const NOW = 300e6;

/** `gone` are hosts that are silent now, and not marked so in the range. */
export function hostStrip(
  context: Context,
  hosts: HostOverview[],
  end: number,
  gone: HTMLElement[],
): HTMLElement[] {
  const kept = shown(hosts);
  const groups = new Map<number, HostOverview[]>();
  for (const one of kept) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
  const made = [...groups].map(([group, some]) => {
    const all = hosts.filter((one) => one.group === group).length;
    return groupOf(context, some, all, end);
  });
  const left = hosts.length - kept.length;
  return [
    ...gone,
    ...made,
    h("span.grow.wide"),
    h(
      "p.barkey.wide",
      left > 0 && h("b", `${left} more hosts are not shown. `),
      hosts.some(({ distance }) => distance !== null) &&
        "bar: distance of its profile from hosts alike, 0 same, 1 nothing in common",
    ),
  ];
}

/**
 * The hosts that are silent now, of a range that ends now: one group, or none. Those that the range
 * shows as silent have that mark in their own group.
 */
export function goneHosts(
  context: Context,
  heard: HeardHosts | null,
  hosts: HostOverview[],
  end: number,
): HTMLElement[] {
  const chosen = context.store.state.filters.some(({ column }) => column === HOST);
  if (!heard || chosen || heard.now - end > NOW) return [];
  const marked = new Set(hosts.filter((one) => one.silent_since !== null).map((one) => one.host));
  const gone = heard.hosts.filter((one) => one.silent && !marked.has(one.host));
  if (!gone.length) return [];
  const rest = gone.length - MOST_GONE;
  const silence = roughly(heard.silent_after * 1e6);
  const head = h("h2", `${plural(gone.length, "host")} silent for more than ${silence}`);
  const lines = gone.slice(0, MOST_GONE).map((one) => h("li", goneHost(context, one, heard.now)));
  const more = h("li", h("span.host", h("span.state", `and ${rest} more: kscope hosts --silent`)));
  return [h("div.group.silent.gone", head, h("ul", ...lines, rest > 0 && more))];
}

function goneHost({ store }: Context, one: HeardHost, now: number): HTMLElement {
  const name = short(plain(one.host), 60);
  const last = `last rows ${dateTime(one.last, store.state.zone)}`;
  return h(
    "span.host.silent",
    { title: `${one.host}: ${last}` },
    h("span.name", h("i.gone"), h("span.m", name)),
    h("span.state", h("span.up", `last seen ${roughly(now - one.last)} ago`)),
  );
}

/** Those that stand out are shown in any case. */
function shown(hosts: HostOverview[]): HostOverview[] {
  if (hosts.length <= MOST_HOSTS) return hosts;
  const loud = hosts.filter((one) => one.silent_since !== null || (one.distance ?? 0) >= UNLIKE);
  const quiet = hosts.filter((one) => !loud.includes(one));
  const kept = new Set([...loud, ...quiet].slice(0, MOST_HOSTS));
  return hosts.filter((one) => kept.has(one));
}

/** `hosts` are those of the group that are shown, of `all`. */
function groupOf(context: Context, hosts: HostOverview[], all: number, end: number): HTMLElement {
  const name = hosts[0]?.group_name;
  const known = hosts.some(({ distance }) => distance !== null);
  const some = hosts.length < all ? `, ${hosts.length} shown` : "";
  const alike = all > 1 ? `${all} ${known ? "alike" : "hosts"}${some}` : "alone";
  const silent = hosts.some((one) => one.silent_since !== null);
  return h(
    silent ? "div.group.silent" : "div.group",
    h("h2", name ? `${alike}: ${short(plain(name), 60)}` : alike),
    h("ul", ...hosts.map((one) => h("li", host(context, one, end)))),
  );
}

function host(context: Context, one: HostOverview, end: number): HTMLElement {
  const { store } = context;
  const filter = oneOf(HOST, one.host, []);
  const on = store.state.filters.some(same(filter));
  const toggle = (): void => {
    const { filters } = store.state;
    const rest = filters.filter(({ column }) => column !== HOST);
    store.set({
      filters: on ? filters.filter((each) => !same(filter)(each)) : withFilter(rest, filter),
    });
  };
  const silent = one.silent_since !== null;
  const name = short(plain(one.host), 60);
  const distance = one.distance === null ? "" : `, distance ${one.distance.toFixed(2)}`;
  return h(
    silent ? "button.host.silent" : "button.host",
    {
      type: "button",
      onclick: toggle,
      "aria-pressed": String(on),
      title: `${one.host}${distance}: ${on ? "show all hosts" : "show only this host"}`,
    },
    h("span.name", h(silent ? "i.gone" : "i.ok"), h("span.m", name)),
    one.distance !== null && distanceBar(one.distance),
    h("span.state", ...state(one, end)),
  );
}

function same(filter: Filter): (other: Filter) => boolean {
  return (other) => filterText(other) === filterText(filter);
}

function distanceBar(distance: number): SVGElement {
  const kind = distance >= UNLIKE ? "unlike" : "like";
  const width = 100 * distance;
  return stretched(
    100,
    5,
    svg("rect", { class: "ground", width: 100, height: 5 }),
    svg("rect", { class: kind, width, height: 5 }),
  );
}

function state(one: HostOverview, end: number): (HTMLElement | string)[] {
  if (one.silent_since !== null) {
    return [h("span.up", `silent for ${roughly(end - one.silent_since)}`)];
  }
  const seen = `${roughly(end - one.last)} ago`;
  if (!one.lost) return [seen];
  return [`${seen} · `, h("span.up", { title: one.lost_text }, `${quantity(one.lost, "")} lost`)];
}
