// One canvas of a surface: the marks of an answer with the texts of their axes.

import { sized } from "../ui/canvas";
import { cssColor, h } from "../ui/dom";
import { zoneName } from "../ui/format";
import {
  axisFont,
  cssValue,
  GAP,
  paintInside,
  paintTexts,
  xOfTime,
  type Area,
  type AxisText,
  type Canvas,
  type Drawing,
  type Times,
} from "./drawing";
import { timeTicks } from "./ticks";

const RIGHT = 1;
/** Room below a plot: for the texts of the x axis, or between it and the next. */
const BELOW = 22;
const BETWEEN = 8;

export class Plot {
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  drawing: Drawing | null = null;
  /** Whether the texts of the x axis stand below it, as of the last plot of several. */
  last = true;
  /** The width of the texts on its left, which all plots of a surface share. */
  left = 0;
  /** Draws over the marks, what of them is missing. */
  missing: (canvas: Canvas, area: Area, times: Times) => void = () => undefined;
  /** One more line for the tooltip of a time. */
  note: (time: number) => string = () => "";
  /** And one for a place where the pointer rests. */
  rests: ((x: number, y: number, stop: AbortSignal) => Promise<string>) | null = null;

  constructor(
    name: string,
    label: string,
    private readonly times: () => Times,
  ) {
    this.canvas = h("canvas", { role: "img", "aria-label": label });
    this.element = h("div.plot", this.canvas);
    if (name) this.element.classList.add(name);
  }

  get area(): Area {
    const { clientWidth, clientHeight } = this.element;
    return {
      left: this.left,
      width: Math.max(1, clientWidth - this.left - RIGHT),
      height: Math.max(1, clientHeight - (this.last ? BELOW : BETWEEN)),
    };
  }

  /** Where its area ends in its surface, and whether it is there at all. */
  get top(): number {
    return this.element.offsetTop;
  }

  get shown(): boolean {
    return this.element.clientHeight > 0;
  }

  /** How much room the texts on its left want. */
  wants(): number {
    const context = sized(this.canvas, this.element.clientWidth, this.element.clientHeight);
    context.font = axisFont();
    const zone = (this.drawing?.timed ?? true) ? zoneName(this.times().zone) : "";
    const texts = [...this.texts().map(({ text }) => text), zone];
    const widths = texts.map((text) => context.measureText(text).width);
    return Math.max(
      parseFloat(cssValue("--axis")) || 0,
      Math.ceil(Math.max(0, ...widths)) + GAP + 2,
    );
  }

  private texts(): AxisText[] {
    return this.drawing?.axis(this.area) ?? [];
  }

  paint(): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const canvas = sized(this.canvas, width, height);
    canvas.fillStyle = cssColor("--ground");
    canvas.fillRect(0, 0, width, height);
    canvas.font = axisFont();
    const { area, drawing } = this;
    const times = this.times();
    if (drawing?.timed ?? true) this.paintTimes(canvas, area, times);
    if (drawing?.timed) paintInside(canvas, area, area, this.whole(drawing), times);
    else drawing?.paint(canvas, area, times);
    canvas.fillStyle = cssColor("--ink-3");
    canvas.textAlign = "right";
    canvas.textBaseline = "middle";
    for (const { text, y } of this.texts()) canvas.fillText(text, area.left - GAP, y);
    canvas.textAlign = "left";
  }

  private whole(drawing: Drawing): Drawing {
    return {
      ...drawing,
      paint: (canvas, area, times) => {
        drawing.paint(canvas, area, times);
        this.missing(canvas, area, times);
      },
    };
  }

  private paintTimes(canvas: Canvas, area: Area, times: Times): void {
    if (!this.last) return;
    const width = (text: string) => canvas.measureText(text).width;
    const xOf = xOfTime(area, times);
    const ticks = timeTicks(times.from, times.to, area.width, times.zone, width);
    const texts = ticks.map(({ time, text }) => ({ x: xOf(time), text }));
    paintTexts(canvas, area, texts, zoneName(times.zone));
  }
}
