// The y axis of values: round ends, round values between them, and the unit once.

import { cssColor } from "../ui/dom";
import { axisText, roundSteps, trimmed } from "../ui/format";
import type { Area, AxisText, Canvas, Place } from "./drawing";

/** From one mark to the next, at least. */
const APART = 22;

export class Scale {
  /** `low` is at most and `high` at least 0; `short` names the unit beside the highest mark. */
  constructor(
    private readonly low: number,
    private readonly high: number,
    private readonly unit: string,
    private readonly short = "",
  ) {}

  /** Round values; the highest is at or above the highest value, the lowest at or below the lowest. */
  private marks({ height }: Area): number[] {
    const { low, high, unit } = this;
    if (low === high) return [low];
    const most = Math.max(1, Math.floor(height / APART));
    const inside = roundSteps(low, high, most, unit);
    const step = inside.length > 1 ? inside[1] - inside[0] : high - low;
    const marks = inside.length > 1 ? inside : [0, high];
    const [first, last] = [marks[0], marks[marks.length - 1]];
    if (low < first - step * 1e-6) marks.unshift(first - step);
    if (high > last + step * 1e-6) marks.push(last + step);
    return marks;
  }

  yOf(area: Area): Place {
    const marks = this.marks(area);
    const [low, high] = [marks[0], marks[marks.length - 1]];
    return (value) => area.height - ((value - low) / (high - low || 1)) * (area.height - 1);
  }

  texts(area: Area): AxisText[] {
    const yOf = this.yOf(area);
    const marks = this.marks(area);
    return marks.map((value, k) => {
      const text = value ? trimmed(axisText(value, this.unit)) : "0";
      const unit = k === marks.length - 1 && this.short ? abbreviated(this.short) : "";
      const y = Math.max(6, Math.min(area.height - 5, yOf(value)));
      return { text: `${text}${unit}`, y };
    });
  }

  /** A line at each mark. */
  paint(canvas: Canvas, area: Area): void {
    const yOf = this.yOf(area);
    canvas.fillStyle = cssColor("--line");
    for (const value of this.marks(area)) {
      canvas.fillRect(area.left, Math.min(area.height - 1, Math.round(yOf(value))), area.width, 1);
    }
  }
}

/** An axis has no room for "30 threads". */
function abbreviated(short: string): string {
  if (short.startsWith("/")) return short;
  return ` ${short.length > 4 ? short.slice(0, 3) : short}`;
}
