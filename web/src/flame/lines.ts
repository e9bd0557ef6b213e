// Boxes of one height as lines of pixels, which are stretched to the height of a row: one line for the
// middle of each level, and some for its edges with their round corners. There are thousands of boxes
// on some forty levels, and a canvas takes its time for each box.

import { hexColor } from "../ui/canvas";
import { memo } from "../ui/memo";
import { need } from "../ui/need";

/** Where the lines are before they are stretched. */
const sheet = new OffscreenCanvas(1, 1);
const sheetContext = need(sheet.getContext("2d"), "the 2D context of the sheet");

/** Memory for the pixels of the sheet, which is used again for each picture. */
let memory = new Uint8ClampedArray();

function blank(width: number, lines: number): ImageData {
  const size = 4 * width * lines;
  if (memory.length < size) memory = new Uint8ClampedArray(size);
  return new ImageData(memory.subarray(0, size), width, lines);
}

/** Of the corners, in the page's pixels. */
const RADIUS = 2;

/** Pixels of the screen across, and the levels in sight. */
export interface Extent {
  width: number;
  first: number;
  last: number;
}

/** A frame round some boxes, in pixels of the screen. */
export interface Border {
  color: number;
  size: number;
}

export class Lines {
  private readonly image: ImageData;
  private readonly pixels: Uint32Array;
  /** Per level: where the box that was drawn last ends. */
  private readonly reached: Int32Array;
  /** Lines of the upper edge, which are as many as those of the lower one. */
  private readonly edge: number;
  /** Boxes with corners: level, left end, right end, and 1 with a border. */
  private readonly boxes: number[] = [];

  constructor(
    private readonly extent: Extent,
    private readonly background: number,
    private readonly ratio: number,
    private readonly border: Border,
  ) {
    const { width, first, last } = extent;
    this.edge = Math.round(RADIUS * ratio);
    const lines = (last - first + 1) * (2 * this.edge + 1);
    this.image = blank(width, lines);
    this.pixels = new Uint32Array(memory.buffer, 0, width * lines).fill(background);
    this.reached = new Int32Array(last + 1);
  }

  /**
   * A box that is narrower than a pixel takes one, unless that is taken: false, as for a level below
   * those in sight. From a box that is wider than three `gap`s one is left free on the right.
   */
  add(
    level: number,
    from: number,
    to: number,
    color: number,
    gap: number,
    bordered = false,
  ): boolean {
    const { width, first, last } = this.extent;
    if (level > last) return false;
    const left = Math.min(width - 1, Math.max(0, Math.round(from)));
    const right = Math.min(width, Math.round(to));
    if (right <= left && left < this.reached[level]) return false;
    const end = Math.max(left + 1, right);
    this.reached[level] = end;
    if (level < first) return true;
    const free = to - from > 3 * gap && right === Math.round(to) ? gap : 0;
    const line = this.middle(level);
    const stop = line + end - free;
    // A loop is faster than `fill` for the few pixels that nearly all boxes have.
    const { pixels } = this;
    if (end - left > 16) pixels.fill(color, line + left, stop);
    else for (let k = line + left; k < stop; k++) pixels[k] = color;
    if (end - free - left >= 2 * this.edge + 2) {
      this.boxes.push(level, left, end - free, bordered ? 1 : 0);
    }
    return true;
  }

  /** Where a level's middle line begins. */
  private middle(level: number): number {
    return ((level - this.extent.first) * (2 * this.edge + 1) + this.edge) * this.extent.width;
  }

  /** A row's top and height are in units of `context`; `ratio` is the number of pixels per unit. */
  paint(context: CanvasRenderingContext2D, height: number, topOf: (level: number) => number): void {
    const { ratio, edge, image } = this;
    const { width, first, last } = this.extent;
    this.drawEdges();
    if (sheet.width !== width) sheet.width = width;
    if (sheet.height < image.height) sheet.height = image.height;
    sheetContext.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    const snapped = (length: number) => Math.round(length * ratio);
    const rows = snapped(height);
    const draw = (line: number, lines: number, top: number, tall: number) => {
      const row = [0, top / ratio, width / ratio, tall / ratio] as const;
      context.drawImage(sheet, 0, line, width, lines, ...row);
    };
    for (let level = first; level <= last; level++) {
      const line = (level - first) * (2 * edge + 1);
      const top = snapped(topOf(level));
      draw(line, edge, top, edge);
      draw(line + edge, 1, top + edge, rows - 2 * edge);
      draw(line + edge + 1, edge, top + rows - edge, edge);
    }
  }

  private drawEdges(): void {
    const { edge, pixels } = this;
    const { width, first, last } = this.extent;
    for (let level = first; level <= last; level++) {
      const middle = this.middle(level);
      for (let k = 1; k <= edge; k++) {
        pixels.copyWithin(middle - k * width, middle, middle + width);
        pixels.copyWithin(middle + k * width, middle, middle + width);
      }
    }
    const { boxes } = this;
    for (let k = 0; k < boxes.length; k += 4) {
      const line = this.middle(boxes[k]);
      if (boxes[k + 3]) this.drawBorder(line, boxes[k + 1], boxes[k + 2]);
      this.round(line, boxes[k + 1], boxes[k + 2]);
    }
  }

  private drawBorder(middle: number, left: number, right: number): void {
    const { pixels, edge } = this;
    const { color, size } = this.border;
    for (let row = -edge; row <= edge; row++) {
      const line = middle + row * this.extent.width;
      if (edge - Math.abs(row) < size) pixels.fill(color, line + left, line + right);
      else {
        pixels.fill(color, line + left, line + left + size);
        pixels.fill(color, line + right - size, line + right);
      }
    }
  }

  /** The four corners of a box, whose parts outside a circle have the colour of the ground. */
  private round(middle: number, left: number, right: number): void {
    const { pixels, edge } = this;
    const { width } = this.extent;
    const corner = this.corner(pixels[middle - edge * width + left]);
    for (let k = 0; k < corner.length; k += 3) {
      const rows = (edge - corner[k]) * width;
      const column = corner[k + 1];
      const color = corner[k + 2];
      pixels[middle - rows + left + column] = color;
      pixels[middle - rows + right - 1 - column] = color;
      pixels[middle + rows + left + column] = color;
      pixels[middle + rows + right - 1 - column] = color;
    }
  }

  /** Row, column and colour of the pixels of a corner that are not quite of a colour. */
  private corner(color: number): number[] {
    let made = this.corners.get(color);
    if (!made) {
      const { edge, background } = this;
      made = [];
      outside(edge).forEach((part, k) => {
        if (part) made?.push(Math.floor(k / edge), k % edge, blend(color, background, part));
      });
      this.corners.set(color, made);
    }
    return made;
  }

  private readonly corners = new Map<number, number[]>();
}

/** Per pixel of a corner of so many pixels: how much of it lies outside the circle, from 0 to 1. */
const outside = memo((size: number): Float64Array => {
  const parts = new Float64Array(size * size);
  const fine = 8;
  for (let k = 0; k < size * size * fine * fine; k++) {
    const pixel = Math.floor(k / (fine * fine));
    const x = (pixel % size) + ((k % fine) + 0.5) / fine;
    const y = Math.floor(pixel / size) + (Math.floor((k % (fine * fine)) / fine) + 0.5) / fine;
    if (Math.hypot(size - x, size - y) > size) parts[pixel] += 1 / (fine * fine);
  }
  return parts;
});

function blend(one: number, other: number, part: number): number {
  if (!part) return one;
  let mixed = 0xff000000;
  for (const shift of [0, 8, 16]) {
    const [a, b] = [(one >>> shift) & 0xff, (other >>> shift) & 0xff];
    mixed |= Math.round(a + (b - a) * part) << shift;
  }
  return mixed;
}

/** An opaque colour as it lies in the memory of an image. */
export function pixelOf(color: string): number {
  const rgb = Number.parseInt(hexColor(color).slice(1), 16);
  return 0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | (rgb >> 16);
}
