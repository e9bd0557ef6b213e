// Helpers for all canvases: sharp pixels, and the tooltip next to the pointer.

import { h, printing, type Child } from "./dom";
import { need } from "./need";

/** Canvas pixels for one of the page's; paper is finer than screens. */
export function pixelRatio(): number {
  return printing() ? 3 : window.devicePixelRatio || 1;
}

/** The drawing context of an opaque canvas. */
export function context2d(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  return need(canvas.getContext("2d", { alpha: false }), "the 2D context of a canvas");
}

const scratch = context2d(document.createElement("canvas"));
const hexes = new Map<string, string>();

/** An opaque colour as #rrggbb: readers of SVG outside browsers do not know `hsl()`. */
export function hexColor(color: string): string {
  let hex = hexes.get(color);
  if (hex === undefined) {
    scratch.fillStyle = color;
    hexes.set(color, (hex = scratch.fillStyle));
  }
  return hex;
}

/** Set a canvas's size in pixels of the page; its drawing context uses the same pixels. */
export function sized(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D {
  const ratio = pixelRatio();
  const [w, t] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== t) {
    Object.assign(canvas, { width: w, height: t });
  }
  const context = context2d(canvas);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

export class Tip {
  readonly element = h("div.tip", { hidden: true });

  /** Shows the lines next to the pointer; nothing if there are none. */
  show(lines: Child[], { clientX: x, clientY: y }: MouseEvent): void {
    this.element.hidden = !lines.length;
    this.element.replaceChildren(...lines.map((line) => h("div", line)));
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = x + 14 + width > innerWidth ? Math.max(4, x - width - 10) : x + 14;
    const top = y + 18 + height > innerHeight ? Math.max(4, y - height - 10) : y + 18;
    this.element.style.transform = `translate(${left}px, ${top}px)`;
  }

  hide(): void {
    this.element.hidden = true;
  }
}
