// The stack tree that flame graph and sandwich both show, asked for once.

import { explainEmpty } from "./empty";
import type { Context } from "./context";
import type { Source } from "./flameview";
import { Loader } from "./loader";
import { unknownNotices, type Notices } from "./notices";
import { flameQuery, flameSource, groupLevels } from "./source";
import type { FlameAnswer } from "./types";

export interface StackFollower {
  setSource(source: Source): void;
  /** Lies over the graph. */
  cover(...children: (Node | null)[]): void;
}

export class Stacks {
  private readonly loader = new Loader("Summing stacks");
  private source: Source | null = null;
  private follower: StackFollower | null = null;

  constructor(
    private readonly context: Context,
    private readonly notices: Notices,
  ) {}

  /** Asks if need be; `follower` is told of this answer and of those to come. */
  update(follower: StackFollower): void {
    if (this.follower !== follower) {
      this.follower = follower;
      follower.cover(this.loader.element);
      if (this.source) follower.setSource(this.source);
    }
    const groups = groupLevels(this.context);
    const path = `/api/v1/flamegraph/${this.context.store.state.table}`;
    void this.loader.ask<FlameAnswer>(path, flameQuery(this.context), (answer) => {
      this.source = flameSource(answer, groups);
      this.notices.say("stacks", [...answer.notices, ...unknownNotices(this.source.tree)]);
      this.follower?.cover(this.loader.element);
      this.follower?.setSource(this.source);
      if (!answer.total) void this.explain();
    });
  }

  private async explain(): Promise<void> {
    const explanation = await explainEmpty(this.context);
    if (!this.source?.tree.sides[0]!.value[0]) {
      this.follower?.cover(this.loader.element, explanation);
    }
  }
}
