// The band below the bar: markers, timeline and heatmap on one axis of time, and what they say.

import { progress } from "../api/progress";
import type { Context } from "../state/context";
import { button, h } from "../ui/dom";
import { dateTime, zoneName } from "../ui/format";
import { Facts } from "./facts";
import { Gaps } from "./gaps";
import { Heatmap } from "./heatmap";
import { MarkerRow, Markers } from "./markers";
import { Selecting } from "./selecting";
import { Surface } from "./surface";
import { Timeline } from "./timeline";
import type { Times } from "./drawing";
import type { Timeseries } from "../../generated/types";

const KEYS = "Drag to select; arrows move the selection, Enter zooms in, Escape removes it.";

export class Band {
  readonly element: HTMLElement;
  private readonly timeline: Timeline;
  private readonly heatmap: Heatmap;
  private readonly facts: Facts;
  private readonly surface: Surface;
  private readonly selecting: Selecting;
  private readonly markers: Markers;
  private readonly row: MarkerRow;
  private readonly gaps: Gaps;
  private readonly back: HTMLButtonElement;

  constructor(
    private readonly context: Context,
    answered: (answer: Timeseries) => void,
  ) {
    const times = () => this.times;
    this.selecting = new Selecting(context);
    this.timeline = new Timeline(context, times);
    this.heatmap = new Heatmap(context, times);
    this.facts = new Facts(context, this.timeline, this.heatmap, this.timeline.loader);
    this.heatmap.loaders.declared.over(this.heatmap.plot.canvas);
    this.row = new MarkerRow(this.selecting);
    this.markers = new Markers(context, () => this.surface.redraw());
    this.gaps = new Gaps(context, () => this.surface.redraw());
    const plots = [this.timeline.plot, this.heatmap.plot];
    for (const plot of plots) {
      plot.missing = (...drawn) => this.gaps.paint(...drawn);
      plot.note = (time) => this.gaps.at(time);
    }
    const host = { times, markers: () => this.markers.list, painted: () => this.painted() };
    this.surface = new Surface(`Timeline and heatmap. ${KEYS}`, plots, host, this.selecting);
    this.back = button("zoom out", () => this.selecting.out(), { class: "out", hidden: true });
    this.timeline.answered = answered;
    this.timeline.changed = () => this.draw();
    this.heatmap.changed = () => this.draw();
    this.element = h(
      "section.band",
      { "aria-label": "Time" },
      h("div.plots", this.row.element, this.back, this.surface.element),
      this.facts.element,
    );
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && event.target === document.body) this.surface.clear();
    });
  }

  /** Asks for the marks that lie over the plots. */
  private readonly askMore = (): void => {
    // The page may show Home by now.
    if (!this.context.store.state.table) return;
    this.markers.update();
    this.gaps.update();
  };

  private get times(): Times {
    return { ...this.context.range, zone: this.context.store.state.zone };
  }

  update(): void {
    this.timeline.update();
    this.heatmap.update();
    progress.after(this.askMore);
    this.back.hidden = !this.selecting.inside;
    this.surface.say(this.selected());
    this.draw();
  }

  private draw(): void {
    this.facts.update();
    this.surface.redraw();
  }

  private selected(): string {
    const { box } = this.selecting;
    if (!box) return "";
    const { zone } = this.context.store.state;
    const end = dateTime(box.to, zone).slice(11);
    return `Selected: ${dateTime(box.from, zone)} to ${end} ${zoneName(zone)}`;
  }

  private painted(): void {
    const { measures } = this.surface;
    if (measures) this.row.update(this.markers.list, this.times, measures);
  }
}
