// Boxes of one height as lines of pixels, one for each level, which are stretched to the height of
// a row. There are thousands of boxes on some forty levels, and a canvas takes its time for each box.

import { hexColor } from "../ui/canvas";
import { need } from "../ui/need";

/** Where the lines are before they are stretched. */
const sheet = new OffscreenCanvas(1, 1);
const sheetContext = need(sheet.getContext("2d"), "the 2D context of the sheet");

/** Pixels of the screen across, and the levels in sight. */
export interface Extent {
  width: number;
  first: number;
  last: number;
}

export class Lines {
  private readonly image: ImageData;
  private readonly pixels: Uint32Array;
  /** Per level: where the box that was drawn last ends. */
  private readonly reached: Int32Array;

  constructor(
    private readonly extent: Extent,
    background: number,
  ) {
    const { width, first, last } = extent;
    this.image = new ImageData(width, last - first + 1);
    this.pixels = new Uint32Array(this.image.data.buffer).fill(background);
    this.reached = new Int32Array(last + 1);
  }

  /**
   * A box that is narrower than a pixel takes one, unless that is taken: false, as for a level below
   * those in sight. From what is wider than three `gap`s one is left free on the right.
   */
  add(level: number, from: number, to: number, color: number, gap: number): boolean {
    const { width, first, last } = this.extent;
    if (level > last) return false;
    const left = Math.min(width - 1, Math.max(0, Math.round(from)));
    const right = Math.min(width, Math.round(to));
    if (right <= left && left < this.reached[level]) return false;
    const end = Math.max(left + 1, right);
    this.reached[level] = end;
    if (level < first) return true;
    const line = (level - first) * width;
    const free = to - from > 3 * gap && right === Math.round(to) ? gap : 0;
    for (let at = line + left; at < line + end - free; at++) this.pixels[at] = color;
    return true;
  }

  /** A row's top and height are in units of `context`; `ratio` is the number of pixels per unit. */
  paint(
    context: CanvasRenderingContext2D,
    ratio: number,
    height: number,
    topOf: (level: number) => number,
  ): void {
    const { width, first, last } = this.extent;
    if (sheet.width !== width) sheet.width = width;
    if (sheet.height < this.image.height) sheet.height = this.image.height;
    sheetContext.putImageData(this.image, 0, 0);
    context.imageSmoothingEnabled = false;
    const snapped = (length: number) => Math.round(length * ratio) / ratio;
    for (let level = first; level <= last; level++) {
      const line = [0, level - first, width, 1] as const;
      const row = [0, snapped(topOf(level)), width / ratio, snapped(height)] as const;
      context.drawImage(sheet, ...line, ...row);
    }
  }
}

/** An opaque colour as it lies in the memory of an image. */
export function pixelOf(color: string): number {
  const rgb = Number.parseInt(hexColor(color).slice(1), 16);
  return 0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16);
}
