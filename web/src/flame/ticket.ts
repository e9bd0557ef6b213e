// A comparison as text: folded stacks with both sides, and a table for a ticket.

import { bare } from "../ui/rate";
import { percent } from "../ui/format";
import type { Source } from "./flame_query";
import type { NameRow } from "./name_lines";
import { label } from "./paint";
import { ratioText } from "./ratio";
import { pathOf, type Tree } from "./tree";

/** `process;main;write 12 42`, as difffolded.pl writes them: A, then B, in the column's own unit. */
export function foldedSides(tree: Tree): string {
  const [, before, after] = tree.sides;
  const lines: string[] = [];
  for (let i = 0; i < tree.n; i++) {
    const [was, now] = [before.self[i], after.self[i]];
    if (!was && !now) continue;
    const path = pathOf(tree, i).map((name) => name.replace(/;/g, ":").replace(/[\r\n]/g, " "));
    lines.push(`${path.join(";") || "[no stack]"} ${was} ${now}\n`);
  }
  return lines.sort().join("");
}

/** As many lines as someone reads in a ticket. */
const MOST = 12;

/** The sides, the frames that changed the most, and the address of the picture. */
export function ticket(title: string, source: Source, rows: NameRow[], address: string): string {
  const { sides, tree } = source;
  if (!sides) return "";
  const { scale, measures, names } = sides;
  const wholes = [1, 2].map((k) => tree.sides[k].value[0] ?? 0);
  const scaled = (row: NameRow, k: number) => row.total[k + 1] * scale[k];
  const changed = rows
    .map((row) => ({ row, size: Math.abs(scaled(row, 1) - scaled(row, 0)) }))
    .sort((a, b) => b.size - a.size)
    .slice(0, MOST);
  const lines = changed.map(({ row }) => {
    const amounts = [0, 1].map((k) => {
      const value = row.total[k + 1];
      return `${bare(value, measures[k])} (${percent(value, wholes[k])})`;
    });
    return `| ${code(label(row.name))} | ${amounts.join(" | ")} | ${ratioText(scaled(row, 0), scaled(row, 1)).text} |`;
  });
  const unit = measures[1].rate ? `, ${measures[1].rate}` : "";
  return [
    `**${title}${unit}**`,
    "",
    ...names.map((name, k) => `- ${"AB"[k]}: ${name}: ${bare(wholes[k], measures[k])}`),
    "",
    "| frame | A | B | B : A |",
    "|---|--:|--:|--:|",
    ...lines,
    "",
    address,
    "",
  ].join("\n");
}

/** A name that may have the signs of Markdown in it. */
function code(text: string): string {
  return `\`${text.replace(/[`|\r\n]/g, " ")}\``;
}
