// Times in which agents that report otherwise say nothing: what is missing from the plots above.

import type { Timeseries } from "../../generated/types";
import { Loader } from "../api/loader";
import type { Query } from "../api/client";
import { question, type Context } from "../state/context";
import { cssColor } from "../ui/dom";
import { xOfTime, type Area, type Canvas, type Times } from "./drawing";
import { Steps, type Range } from "./steps";
import { POINTS } from "./timeline";

/** The category in which agents report. */
const AGENT = "agent";
/** The API gives no more series. */
const HOSTS = 100;
const NAMED = 3;

interface Gap extends Range {
  host: string;
}

export class Gaps {
  private readonly loader = new Loader("Asking when agents reported");
  private found: Gap[] = [];
  private hosts = 0;

  constructor(
    private readonly context: Context,
    private readonly changed: () => void,
  ) {}

  update(): void {
    const { categories, store } = this.context;
    if (!categories.some(({ table }) => table === AGENT)) return;
    const { table } = store.state;
    const host = ([key]: [string, string]) => /^(from|to|hostname(__\w+)?)$/.test(key);
    const query: Query = question(this.context, "range").filter(host);
    query.push(["probe", table], ["value", "rows"], ["by", "hostname"]);
    query.push(["n", String(HOSTS)], ["points", String(POINTS)]);
    void this.loader.ask<Timeseries>(`api/v1/timeseries/${AGENT}`, query, (answer) => {
      const known = answer.series.filter(({ rest }) => !rest);
      this.hosts = known.length;
      this.found = known.flatMap(({ name, values }) => gapsOf(answer, name, values));
      this.changed();
    });
  }

  /** A shade for each host that is missing, so that it is darkest where all are. */
  paint(canvas: Canvas, area: Area, times: Times): void {
    if (!this.hosts) return;
    const xOf = xOfTime(area, times);
    canvas.save();
    canvas.fillStyle = cssColor("--ink-3");
    canvas.globalAlpha = Math.max(0.02, 0.12 / this.hosts);
    for (const { from, to } of this.found) {
      canvas.fillRect(xOf(from), 0, xOf(to) - xOf(from), area.height);
    }
    canvas.restore();
  }

  /** Who is missing at a time, for the tooltip. */
  at(time: number): string {
    const missing = this.found.filter(({ from, to }) => time >= from && time < to);
    if (!missing.length) return "";
    const names = missing.slice(0, NAMED).map(({ host }) => host);
    const more = missing.length - names.length;
    return `no report from ${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  }
}

/** From a host's last report to its next one, where that is much longer than usual for it. */
function gapsOf({ times, step, meta }: Timeseries, host: string, values: (number | null)[]): Gap[] {
  const filled = values.map(Boolean);
  const usual = new Steps(times, step, filled, meta).interval;
  const gaps: Gap[] = [];
  let end = Number.NaN;
  for (const [k, time] of times.entries()) {
    if (!filled[k]) continue;
    if (time - end >= 2 * usual) gaps.push({ host, from: end, to: time });
    end = time + step;
  }
  if (meta.to - end >= 2 * usual + step) gaps.push({ host, from: end, to: meta.to });
  return gaps;
}
