// The answer of the panel as elements: markers, hosts, findings, and all that is not in them.

import { h, button, type Child } from "../ui/dom";
import { icon } from "../ui/icons";
import { clock, howLong, plural } from "../ui/spans";
import { stretched, svg } from "../ui/svg";
import { plain, short } from "../ui/text";
import type { Zone } from "../ui/format";
import type { Changes, HostPart, NearMarker, ReadTable } from "../../generated/types";
import { findingLine, percent, type Opening } from "./finding";

const MOST_MARKERS = 3;
const MOST_HOSTS = 3;
const NEAREST = 5;

export interface Showing {
  zone: Zone;
  /** How the comparison set is called. */
  base: string;
  /** Whether the findings within the usual are shown as well. */
  all: boolean;
  showAll(): void;
}

export function answerParts(answer: Changes, showing: Showing, opening: Opening): Child[] {
  const { findings, more, done } = answer;
  const calm = done && !findings.length;
  const within = showing.all ? more : calm ? more.slice(0, NEAREST) : [];
  return [
    markerStrip(answer.markers, showing.zone),
    findings.length > 0 && hostBar(answer.by_host),
    calm && calmSentence(answer, showing),
    findings.length > 0 &&
      h("ol.findings", ...findings.map((one, k) => findingLine(one, k + 1, opening))),
    calm && within.length > 0 && h("h3", "Nearest, within the usual"),
    within.length > 0 && !calm && h("h3", "Within the usual"),
    within.length > 0 &&
      h(
        "ol.findings.calm",
        ...within.map((one, k) => findingLine(one, findings.length + k + 1, opening)),
      ),
    done && remarks(answer, showing, within.length),
  ];
}

function calmSentence({ tables }: Changes, { base }: Showing): HTMLElement {
  const rows = tables.some((one) => one.rows > 0);
  const text = rows
    ? `Nothing is unusual here, compared with ${base}.`
    : "No rows are of this time, or of the time that it is compared with.";
  return h("p.calm-sentence", text);
}

function markerStrip(markers: NearMarker[], zone: Zone): HTMLElement | null {
  if (!markers.length) return null;
  const near = [...markers].sort((a, b) => Math.abs(a.seconds) - Math.abs(b.seconds));
  const shown = near.slice(0, MOST_MARKERS);
  const rest = near.length - shown.length;
  return h(
    "div.flags",
    ...shown.map((one) => flag(one, zone)),
    rest > 0 && h("p.q", `and ${rest} more ${rest > 1 ? "markers" : "marker"}`),
  );
}

function flag({ message, host, time, seconds }: NearMarker, zone: Zone): HTMLElement {
  const away = howLong(Math.abs(seconds) * 1e6);
  const when = seconds < 0 ? `${away} before this begins` : `${away} after this begins`;
  const [name = "", ...more] = short(plain(message), 200).split(": ");
  return h(
    "p.flag",
    icon("flag"),
    h(
      "span",
      h("b", name),
      host && " on ",
      host && h("span.m", short(plain(host), 60)),
      " at ",
      h("span.m", clock(time, zone)),
      `, ${when}`,
      more.length > 0 && h("span.q.wide", ` · ${more.join(": ")}`),
    ),
  );
}

/** Whose the difference is; a single host's would say nothing. */
function hostBar(parts: HostPart[]): HTMLElement | null {
  const sorted = parts.filter((one) => one.part > 0).sort((a, b) => b.part - a.part);
  if (sorted.length < 2) return null;
  const shown = sorted.slice(0, MOST_HOSTS).filter((one, k) => !k || one.part >= 0.03);
  const rest = sorted.slice(shown.length).reduce((sum, one) => sum + one.part, 0);
  const [first, ...others] = shown.map(({ host, part }) => [short(plain(host), 60), percent(part)]);
  const separator = () => h("span.q", " · ");
  return h(
    "div.whose",
    segments(
      shown.map(({ part }) => part),
      rest,
    ),
    h(
      "p",
      h("b.m", first?.[0]),
      ` has ${first?.[1]} of the difference`,
      ...others.flatMap(([host, part]) => [separator(), h("span.m", host), ` ${part}`]),
      rest >= 0.005 && separator(),
      rest >= 0.005 && h("span.q", `others ${percent(rest)}`),
    ),
  );
}

function segments(parts: number[], rest: number): SVGElement {
  let x = 0;
  const rectangles = [...parts, rest].map((part, k) => {
    const kind = k === 0 ? "here" : k < parts.length ? "host" : "others";
    const made = svg("rect", { class: kind, x, width: Math.max(0, 100 * part - 0.3), height: 1 });
    x += 100 * part;
    return made;
  });
  return stretched(100, 1, ...rectangles);
}

/** All that is not in the findings: what is usual, what was lost, what could not be asked. */
function remarks(answer: Changes, showing: Showing, within: number): HTMLElement {
  const { findings, more, usual, losses, tables, notices } = answer;
  const hidden = usual - within;
  const some = findings.length ? `${usual} more are` : `${usual} are`;
  const one = findings.length ? "1 more is" : "1 is";
  return h(
    "div.remarks",
    (findings.length > 0 || within > 0) && legend(showing.base),
    usual > 0 && h("b", `${usual === 1 ? one : some} within the usual. `),
    ...losses.map(({ text }) => h("span", `${short(plain(text), 300)} `)),
    inactive(tables.filter(({ state }) => state === "inactive")),
    ...notices.map(({ text }) => h("span", `${text} `)),
    hidden > 0 &&
      more.length > within &&
      button(`Show all ${findings.length + more.length}`, showing.showAll, { class: "lnk" }),
  );
}

function legend(base: string): HTMLElement {
  return h(
    "p.key",
    h("span", h("i.before"), base),
    h("span", h("i.here"), "here"),
    h("span", h("i.usual"), "the usual: median ± 3 deviations of earlier windows"),
  );
}

/** By the reason; a single type is named. */
function inactive(tables: ReadTable[]): HTMLElement | null {
  if (!tables.length) return null;
  const groups = Map.groupBy(tables, ({ why }) => why ?? "");
  const parts = [...groups].map(([why, each]) => {
    const name = each.length > 1 ? `${each.length} data types` : each[0]?.prettyname;
    return `${name} (${why})`;
  });
  const names = tables.map(({ prettyname }) => prettyname).join(", ");
  return h("span", { title: names }, `Left out: ${parts.join(", ")}. `);
}

/** The hosts and the number of data types that the answer is about. */
export function hostsText(answer: Changes, hosts: string[]): string {
  const read = answer.tables.filter(({ state }) => state === "read").length;
  const on = hosts.length ? hosts.join(", ") : "all hosts";
  return ` on ${on}, ${plural(read, "data type")}, against`;
}
