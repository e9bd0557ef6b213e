// The stack tree that flame graph and sandwich both show, asked for once.

import type { Context } from "../state/context";
import { Loader } from "../api/loader";
import { Cover } from "../ui/cover";
import { h } from "../ui/dom";
import type { Part } from "./part";
import { namelessPart, unknownNotices, type Notices } from "./notices";
import { flameQuery, flameTree, measured, sourceOf, type Source } from "../flame/flame_query";
import type { Flamegraph } from "../../generated/types";

/** A view of the tree. */
interface Follower extends Part {
  /** The elements that fade until they show the current answer. */
  readonly content: HTMLElement[];
  /** Lies over the graph. */
  readonly over: Cover;
  setSource(source: Source): void;
  next(direction: 1 | -1): void;
}

export class Stacks {
  private readonly loader = new Loader("Summing stacks");
  private readonly over = new Cover(h("div.source"));
  private source: Source | null = null;
  private follower: Follower | null = null;

  constructor(
    private readonly context: Context,
    private readonly notices: Notices,
  ) {
    this.over.cover(this.loader.element);
  }

  /** Makes a view ask, when it is shown, what it shows. */
  part(view: Follower): Part {
    const { element, path, tools, legend } = view;
    const next = (direction: 1 | -1) => view.next(direction);
    const slots = { ...(path && { path }), ...(tools && { tools }), ...(legend && { legend }) };
    return { element, ...slots, update: () => this.show(view), next };
  }

  /** Asks if necessary; `follower` receives this answer and the next ones. */
  private show(follower: Follower): void {
    if (this.follower !== follower) {
      this.follower = follower;
      this.loader.over(...follower.content);
      follower.over.cover(this.over.element);
      if (this.source) follower.setSource(this.source);
    }
    const { table } = this.context.store.state;
    const path = `api/v1/flamegraph/${table}`;
    void this.loader.ask<Flamegraph>(path, flameQuery(this.context), (answer) => {
      const source = sourceOf(
        this.context,
        measured(this.context, answer.unit, answer.meta, answer.total),
        flameTree(answer),
        null,
        answer.meta,
      );
      this.source = source;
      this.notices.say("stacks", [...answer.notices, ...unknownNotices(source.tree)], table);
      this.notices.tellNameless(namelessPart(source.tree), table);
      this.follower?.setSource(source);
      void this.over.say(answer.total ? null : this.explain());
    });
    follower.update();
  }

  private async explain(): Promise<HTMLElement> {
    return (await import("./empty")).explainEmpty(this.context);
  }
}
