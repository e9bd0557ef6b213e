// Markers, such as a release: the flags above the plots, and what one can ask about each.

import type { Marker, Markers as Answer } from "../../generated/types";
import { Loader } from "../api/loader";
import type { Query } from "../api/client";
import type { Context } from "../state/context";
import { iso } from "../state/ranges";
import { context2d } from "../ui/canvas";
import { button, h, replace } from "../ui/dom";
import { dateTime, zoneName, type Zone } from "../ui/format";
import { closePopover, popover } from "../ui/popover";
import { plain, short } from "../ui/text";
import { axisFont, xOfTime, type Times } from "./drawing";
import type { Selecting } from "./selecting";

/** Flags that are nearer to each other than this are one, in pixels. */
const TOGETHER = 9;
const FLAG = 9;
/** So many of one flag are listed. */
const LISTED = 6;

/** Asks for the markers of the range, of the hosts that are shown. */
export class Markers {
  list: Marker[] = [];
  private readonly loader = new Loader("Asking for markers");

  constructor(
    private readonly context: Context,
    private readonly changed: () => void,
  ) {}

  update(): void {
    const { range, store } = this.context;
    const query: Query = [
      ["from", iso(range.from)],
      ["to", iso(range.to)],
    ];
    const hosts = store.state.filters.filter(({ column }) => column === "hostname");
    const named = hosts.filter(({ op }) => op === "eq" || op === "in");
    // The parameter is one list.
    if (named.length) query.push(["host", named.map(({ value }) => value).join(",")]);
    void this.loader.ask<Answer>("api/v1/markers", query, ({ markers }) => {
      this.list = markers;
      this.changed();
    });
  }
}

interface Flag {
  x: number;
  markers: Marker[];
  text: string;
}

export class MarkerRow {
  readonly element = h("div.marks", { role: "group", "aria-label": "Markers" });
  private readonly measure = context2d(document.createElement("canvas"));
  private drawn = "";

  constructor(private readonly selecting: Selecting) {}

  update(markers: Marker[], times: Times, area: { left: number; width: number }): void {
    const focus = this.selecting.box?.from ?? times.to;
    const wanted = JSON.stringify([markers, times, area, focus]);
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    const xOf = xOfTime({ ...area, height: 0 }, times);
    const flags = gathered(markers, times, xOf);
    this.measure.font = axisFont();
    const labels = this.placed(flags, xOf(focus), area.left + area.width);
    replace(this.element, ...flags.map((flag, k) => this.flag(flag, labels[k], times.zone)));
  }

  /** The texts that have room, those nearest to the selection first; on the left if they must. */
  private placed(flags: Flag[], focus: number, end: number): { left: boolean; text: string }[] {
    const labels = flags.map(() => ({ left: false, text: "" }));
    const taken = flags.map(({ x }): [number, number] => [x - 1, x + FLAG]);
    const order = flags.map((_, k) => k);
    order.sort((a, b) => Math.abs(flags[a].x - focus) - Math.abs(flags[b].x - focus));
    const free = (from: number, to: number, but: number) =>
      from >= 0 && to <= end && taken.every(([a, b], k) => k === but || to < a || from > b);
    for (const k of order) {
      const { x, text } = flags[k];
      const width = this.measure.measureText(text).width + 6;
      const right = free(x + FLAG, x + FLAG + width, k);
      if (!right && !free(x - width, x - 3, k)) continue;
      labels[k] = { left: !right, text };
      taken.push(right ? [x, x + FLAG + width] : [x - width, x]);
    }
    return labels;
  }

  private flag(flag: Flag, label: { left: boolean; text: string }, zone: Zone): HTMLElement {
    const words = flag.markers.map((one) => sentence(one, zone)).slice(0, LISTED);
    const said = words.join("; ");
    // Its name holds the text that is seen, as the voice of a person says it.
    const name = said.includes(label.text) ? said : `${label.text}: ${said}`;
    const made = button("", () => this.open(made, flag, zone), {
      class: label.left ? "mark left" : "mark",
      title: words.join("\n"),
      "aria-label": `Marker ${name}`,
      "aria-haspopup": "dialog",
    });
    made.append(h("i"), label.text);
    made.style.left = `${Math.round(flag.x)}px`;
    return made;
  }

  private open(from: HTMLElement, { markers }: Flag, zone: Zone): void {
    const items = markers.slice(0, LISTED).map((one) => {
      const then = (run: () => void) => () => {
        closePopover();
        run();
      };
      return h(
        "div.marker",
        h("b", short(plain(one.message || one.kind), 200)),
        h("span.hint", `${where(one)}, ${dateTime(one.time, zone)} ${zoneName(zone)}`),
        button(
          "Compare before and after",
          then(() => this.selecting.compareAt(one.time)),
        ),
        button(
          "What changed here?",
          then(() => this.selecting.askAt(one.time)),
        ),
      );
    });
    const more = markers.length - items.length;
    popover(from, "dialog", "Marker", ...items, more > 0 && h("p.hint", `and ${more} more`));
  }
}

function where({ kind, host }: Marker): string {
  return [kind, host ? `on ${host}` : "on all hosts"].filter(Boolean).join(" ");
}

function sentence(one: Marker, zone: Zone): string {
  const text = short(plain(one.message || one.kind), 200);
  return `${text}, ${where(one)}, ${dateTime(one.time, zone).slice(11)} ${zoneName(zone)}`;
}

function gathered(markers: Marker[], { from, to }: Times, xOf: (time: number) => number): Flag[] {
  const flags: Flag[] = [];
  for (const one of markers) {
    if (one.time < from || one.time > to) continue;
    const x = xOf(one.time);
    const last = flags.at(-1);
    if (last && x - last.x < TOGETHER) last.markers.push(one);
    else flags.push({ x, markers: [one], text: "" });
  }
  for (const flag of flags) {
    const [first, ...others] = flag.markers;
    const more = others.length ? ` +${others.length}` : "";
    flag.text = short(plain(first.message || first.kind), 60) + more;
  }
  return flags;
}
