// A chart of a category with its title, its legend, and what to say if it is empty.

import type { CategoryAnswer, ChartConfig, Meta } from "../../generated/types";
import { h, replace, type Child } from "../ui/dom";
import { Gutter } from "../ui/gutter";
import { MARKS, paintInside, type Drawing, type Times } from "./marks";
import { paintTimeAxis, Plot, type Area } from "./plot";

export class Figure {
  readonly element: HTMLElement;
  readonly plot: Plot;
  readonly legend = h("div.legend");
  private readonly by: string;
  private readonly empty = h("p.hint", { hidden: true }, "Nothing in this range.");
  private drawing: Drawing | null = null;

  constructor(
    { columns, prettyname }: CategoryAnswer,
    private readonly config: ChartConfig,
    private readonly times: () => Times,
    ...captions: Child[]
  ) {
    this.by = columns.find(({ name }) => name === config.query["by"])?.prettyname ?? "";
    this.element = h("figure");
    this.plot = new Plot(`${prettyname}: ${config.title}`, new Gutter(this.element), {
      axis: (area) => this.drawing?.axis(area) ?? [],
      paint: (canvas, area) => this.paint(canvas, area),
      hover: ({ x, y }) => this.drawing?.at(x, y, this.plot.area, this.times()) ?? [],
    });
    this.plot.element.append(this.empty);
    const caption = h("figcaption", config.title, ...captions);
    this.element.append(caption, this.plot.element, this.legend);
  }

  show(answer: unknown): void {
    const { mark } = this.config;
    const rows = (answer as { meta?: Meta }).meta?.rows;
    this.plot.canvas.hidden = rows === 0;
    this.empty.hidden = rows !== 0;
    this.drawing = mark === "flame" ? null : MARKS[mark](answer as never);
    const items = this.drawing?.legend() ?? [];
    replace(this.legend, this.by && items.length > 0 && h("span", this.by), ...items);
    this.plot.paint();
  }

  private paint(canvas: CanvasRenderingContext2D, area: Area): void {
    const { drawing } = this;
    if (!drawing) return;
    const times = this.times();
    if (drawing.timed) {
      paintTimeAxis(canvas, area, times.from, times.to, times.zone);
      paintInside(canvas, area, area, drawing, times);
    } else drawing.paint(canvas, area, times);
  }
}
