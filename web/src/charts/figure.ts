// A chart of a category with its title, its legend, and what to say if it is empty.

import type { CategoryAnswer, ChartConfig, Marker, Meta } from "../../generated/types";
import { h, replace, type Child } from "../ui/dom";
import { statesOf } from "../ui/states";
import { MARKS } from "./marks";
import { Plot } from "./plot";
import { Surface } from "./surface";
import type { Times } from "./drawing";
import type { Selecting } from "./selecting";

export class Figure {
  readonly element: HTMLElement;
  readonly plot: Plot;
  readonly surface: Surface;
  readonly legend = h("div.legend");
  private readonly by: string;
  private readonly empty = h("p.hint", { hidden: true }, "Nothing in this range.");

  constructor(
    private readonly category: CategoryAnswer,
    private readonly config: ChartConfig,
    host: { times: () => Times; markers: () => Marker[] },
    selecting: Selecting | null,
    ...captions: Child[]
  ) {
    const { columns, prettyname } = category;
    const { query, title } = config;
    this.by = columns.find(({ name }) => name === query["by"])?.prettyname ?? "";
    const label = `${prettyname}: ${title}`;
    this.plot = new Plot("", label, host.times);
    this.element = h("figure");
    this.surface = new Surface(label, [this.plot], host, this.timed ? selecting : null);
    this.plot.element.append(this.empty);
    this.element.append(h("figcaption", title, ...captions), this.surface.element, this.legend);
  }

  /** Whether its x axis is time. */
  get timed(): boolean {
    return ["area", "line", "cells"].includes(this.config.mark);
  }

  show(answer: unknown): void {
    const { mark } = this.config;
    const rows = (answer as { meta?: Meta }).meta?.rows;
    this.plot.canvas.hidden = rows === 0;
    this.empty.hidden = rows !== 0;
    this.plot.drawing =
      mark === "flame" ? null : MARKS[mark](answer as never, statesOf(this.category));
    const items = this.plot.drawing?.legend() ?? [];
    replace(this.legend, this.by && items.length > 0 && h("span", this.by), ...items);
    this.surface.redraw();
  }
}
