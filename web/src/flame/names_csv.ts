// The table beside a flame graph as a file.

import { download } from "../ui/dom";
import { perTime } from "../ui/rate";
import type { Source } from "./flame_query";
import { frame, KIND_TEXT } from "./frames";
import type { NameRow } from "./name_lines";

export function saveNames(source: Source, rows: NameRow[]): void {
  download("frames.csv", new Blob([csv(source, rows)], { type: "text/csv" }));
}

/** All frames with their plain sums, and time per time where it has a name. */
function csv({ measure, sides }: Source, rows: NameRow[]): string {
  const unit = measure.unit ? ` (${measure.unit})` : "";
  const rate = measure.rate ? [measure.rate] : [];
  const head = sides
    ? ["frame", "kind", `A${unit}`, `B${unit}`, ...rate.flatMap((one) => [`A ${one}`, `B ${one}`])]
    : ["frame", "kind", `self${unit}`, `total${unit}`, ...rate];
  const lines = rows.map(({ name, self, total }) => {
    const sums = sides ? total.slice(1, 3) : [self[0], total[0]];
    const of = sides ? sides.measures : [measure];
    const told = sides ? sums : [total[0]];
    const rates = measure.rate ? told.map((value, k) => perTime(value, of[k])) : [];
    return [name, KIND_TEXT[frame(name).kind], ...sums, ...rates];
  });
  return [head, ...lines].map((line) => `${line.map(field).join(",")}\r\n`).join("");
}

/** A spreadsheet runs a text that begins as a formula does. */
function field(value: string | number): string {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return `"${text.replace(/"/g, '""')}"`;
}
