// How two sides of a comparison differ, in a word.

import { times } from "../ui/format";

export interface Ratio {
  text: string;
  tone: "more" | "less" | "";
}

/** Within this the sides are the same, for a reader. */
const SAME = 1.08;

/** `new`, `gone`, `same`, or a factor: ×2.4. Both sides are already scaled to be compared. */
export function ratioText(before: number, after: number): Ratio {
  if (!before && !after) return { text: "same", tone: "" };
  if (!before) return { text: "new", tone: "more" };
  if (!after) return { text: "gone", tone: "less" };
  const ratio = after / before;
  if (ratio < SAME && ratio > 1 / SAME) return { text: "same", tone: "" };
  return { text: times(ratio), tone: ratio > 1 ? "more" : "less" };
}
