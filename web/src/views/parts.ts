// The views under the tabs; the code of each is loaded when it is first shown.

import type { Context } from "../state/context";
import type { View } from "../state/address";
import type { SearchBox } from "../flame/search";
import { FlameView } from "./flame";
import type { Notices } from "./notices";
import type { Part } from "./part";
import { Stacks } from "./stacks";
import { sheets } from "../ui/sheet";

type Later = Exclude<View, "flame">;

const SHEETS: Partial<Record<Later, string[]>> = {
  sandwich: ["compare"],
  compare: ["compare"],
  hosts: ["details"],
  rows: ["details"],
};

export class Parts {
  private readonly made = new Map<View, Part>();
  private readonly asked = new Set<View>();
  private readonly stacks: Stacks;

  /** `loaded` is called when a view that was asked for is there. */
  constructor(
    private readonly context: Context,
    private readonly search: SearchBox,
    private readonly notices: Notices,
    private readonly loaded: () => void,
  ) {
    this.stacks = new Stacks(context, notices);
  }

  /** The view; null until its code is loaded. */
  get(view: View): Part | null {
    if (view === "flame") return this.flame();
    const part = this.made.get(view) ?? null;
    if (!part) void this.load(view);
    return part;
  }

  /** The code of the first view comes with this. */
  private flame(): Part {
    const { context, search, stacks } = this;
    const part =
      this.made.get("flame") ?? stacks.part(new FlameView("Flame graph", context, search));
    this.made.set("flame", part);
    return part;
  }

  /** Without the server the code is asked for again when the view is shown again. */
  private async load(view: Later): Promise<void> {
    if (this.asked.has(view)) return;
    this.asked.add(view);
    const styled = sheets(...(SHEETS[view] ?? []));
    const [part] = await Promise.all([this.make(view), styled]).catch(() => [null]);
    this.asked.delete(view);
    if (!part) return;
    this.made.set(view, part);
    this.loaded();
  }

  private async make(view: Later): Promise<Part> {
    const { context, search, notices, stacks } = this;
    switch (view) {
      case "sandwich": {
        const { SandwichView } = await import("./sandwich");
        return stacks.part(new SandwichView(context, search));
      }
      case "compare": {
        const { CompareView } = await import("./compare");
        return new CompareView(context, search, notices);
      }
      case "hosts":
        return new (await import("./hosts")).HostsView(context, notices);
      case "charts":
        return new (await import("./charts")).ChartsView(context);
      case "rows":
        return new (await import("./rows")).RowsView(context);
    }
  }
}
