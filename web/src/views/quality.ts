// Notices about data that is missing from a graph, from the reports of the agents.

import { Loader } from "../api/loader";
import { question, type Context } from "../state/context";
import { exact, percent } from "../ui/format";
import { warning, type Notices } from "./notices";
import type { Binary, Lack, Notice, Quality as QualityAnswer } from "../../generated/types";

/** The category in which agents report what they lost. */
const AGENT = "agent";

export class Quality {
  /** Not a part of the page: the graph's own loader shows that the server fails. */
  private readonly loader = new Loader("Asking the agents");

  constructor(
    private readonly context: Context,
    private readonly notices: Notices,
  ) {}

  /** Lost things are counted; a time that is missing is not said in microseconds. */
  private readonly counts = (column: string): boolean => {
    const agent = this.context.categories.find(({ table }) => table === AGENT);
    const found = agent?.columns.find(({ name }) => name === column);
    return found?.storage === "integer" && !found.unit;
  };

  update(): void {
    const path = `api/v1/quality/${this.context.store.state.table}`;
    const { table } = this.context.store.state;
    void this.loader.ask<QualityAnswer>(path, question(this.context, "box"), (answer) => {
      this.notices.say("quality", [
        ...lackNotices(answer.lacks, this.counts),
        ...binaryNotices(answer.binaries),
      ]);
      const lost = answer.lacks.filter(({ column }) => column.startsWith("lost"));
      const worst = lost.reduce((most, one) => Math.max(most, one.share), 0);
      this.notices.tellLost(lost.find(({ share }) => share === worst) ?? null, table);
    });
  }
}

const NAMED = 3;

/** One line a reason: the host that it is worst on, the next ones, and how many more. */
export function lackNotices(lacks: Lack[], counts: (column: string) => boolean): Notice[] {
  return [...Map.groupBy(lacks, ({ reason }) => reason).values()].map((found) => {
    const [worst, ...others] = found as [Lack, ...Lack[]];
    const size = ({ share, count, column }: Lack) =>
      counts(column) ? [percent(share, 1), exact(count)] : [percent(share, 1)];
    const [share, count] = size(worst);
    const words = count ? `${share} (${count})` : share;
    return warning(`On ${worst.host}: ${words} ${worst.reason}.${also(others, size)}`);
  });
}

function also(others: Lack[], size: (lack: Lack) => string[]): string {
  if (!others.length) return "";
  const named = others.slice(0, NAMED).map((one) => `${one.host} (${size(one).join(", ")})`);
  const more = others.length - named.length;
  return ` Also on ${named.join(", ")}${more ? ` and on ${exact(more)} more` : ""}.`;
}

/** One line a fix, with the binaries that it helps. */
export function binaryNotices(binaries: Binary[]): Notice[] {
  const kinds = Map.groupBy(binaries, ({ column, reason, fix }) => `${column}\n${reason}\n${fix}`);
  return [...kinds.values()].map((found) => {
    const [{ column, reason, fix }] = found as [Binary, ...Binary[]];
    const what =
      column === "nameless_frames" ? "Frames without a name are in" : `Stacks broke (${reason}) in`;
    return warning(`${what} ${found.map(named).join(", ")}.${fix && ` To do: ${fix}.`}`);
  });
}

function named({ name, share, count, host, hosts }: Binary): string {
  const others = hosts > 1 ? ` and ${exact(hosts - 1)} more` : "";
  return `${name} (${percent(share, 1)}, ${exact(count)}; on ${host}${others})`;
}
