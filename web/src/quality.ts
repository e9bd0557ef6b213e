// Says over a graph what is missing from it, as the agents themselves report.

import { get, url } from "./api";
import { question, type Context } from "./context";
import { percent } from "./format";
import type { Notices } from "./notices";
import type { Notice } from "./types";

interface Lack {
  host: string;
  column: string;
  share: number;
  count: number;
  reason: string;
}

export class Quality {
  private asked = "";

  constructor(
    private readonly context: Context,
    private readonly notices: Notices,
  ) {}

  update(): void {
    const path = `/api/v1/quality/${this.context.store.state.table}`;
    const query = question(this.context, "box");
    const asked = url(path, query);
    if (asked === this.asked) return;
    this.asked = asked;
    void this.ask(path, query, asked);
  }

  private async ask(path: string, query: [string, string][], asked: string): Promise<void> {
    try {
      const { lacks } = await get<{ lacks: Lack[] }>(path, query);
      if (asked === this.asked) this.notices.say("quality", lackNotices(lacks));
    } catch {
      // The graph is shown without: what failed here fails there too, and is told there.
      this.asked = "";
    }
  }
}

/** One line a reason: the host that it is worst on, and how many more. */
export function lackNotices(lacks: Lack[]): Notice[] {
  const byReason = new Map<string, Lack[]>();
  for (const lack of lacks) {
    const known = byReason.get(lack.reason);
    if (known) known.push(lack);
    else byReason.set(lack.reason, [lack]);
  }
  return [...byReason.values()].map((found) => {
    const [worst, ...others] = found as [Lack, ...Lack[]];
    const more =
      others.length === 0
        ? ""
        : ` and, less, on ${others.length} other host${others.length > 1 ? "s" : ""}`;
    const text = `On ${worst.host}${more}: ${percent(worst.share, 1)} ${worst.reason}.`;
    return { level: "warning", text };
  });
}
