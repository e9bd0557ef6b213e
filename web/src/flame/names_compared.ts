// The table beside a flame graph that compares two sides: its columns, and lists of new and gone frames.

import { button, h } from "../ui/dom";
import { percent } from "../ui/format";
import { bare } from "../ui/rate";
import { square } from "../ui/swatch";
import type { TableColumn } from "../ui/table";
import { short } from "../ui/text";
import { kindFill } from "./colors";
import type { Sides } from "./flame_query";
import { frame } from "./frames";
import { background } from "./legend";
import { nameColumn } from "./name_columns";
import { oneSided, type NameRow } from "./name_lines";
import type { Compared } from "./names";
import { ratioText } from "./ratio";
import type { Tree } from "./tree";

/** More of one side alone than a person reads. */
const MOST_LISTED = 6;

type Pick = (name: string) => void;

/** The frames that only one side has come first, the largest of them. */
function lists(all: NameRow[], sides: Sides, pick: Pick): HTMLElement[] {
  return [2, 1].flatMap((side) => {
    const rows = all.filter((row) => oneSided(row) === side);
    rows.sort((a, b) => b.total[side] - a.total[side]);
    return rows.length ? [listed(rows, side, sides, pick)] : [];
  });
}

function listed(rows: NameRow[], side: number, sides: Sides, pick: Pick): HTMLElement {
  const lines = rows.slice(0, MOST_LISTED).map(({ name, label, total }) => {
    const text = short(label);
    const attributes = { class: "name", title: text, "aria-label": text };
    const picking = button("", () => pick(name), attributes);
    picking.append(square(background(kindFill(frame(name).kind))), h("span.text", h("bdi", text)));
    return h("li", picking, h("span.number", bare(total[side], sides.measures[side - 1])));
  });
  const title = side === 2 ? "New in B" : "Gone from A";
  const count = h("span.number.hint", String(rows.length));
  return h("section.onesided", h("h3", title, " ", count), h("ul", ...lines));
}

/** A frame with less of both sides than this is no find, however much it has changed. */
const LEAST_SHARE = 0.002;

function columns(sides: Sides, tree: Tree): TableColumn<NameRow>[] {
  const { scale, measures, shares } = sides;
  const scaled = (row: NameRow, k: number) => row.total[k + 1] * scale[k];
  const least = [1, 2].map((k) => (tree.sides[k].value[0] ?? 0) * scale[k - 1] * LEAST_SHARE);
  const column = (key: string, title: string, k: number): TableColumn<NameRow> => {
    const amount = (value: number) => (value ? bare(value, measures[k]) : "–");
    const share = (value: number) => (value ? percent(value, tree.sides[k + 1].value[0]) : "–");
    const [shown, tip] = shares ? [share, amount] : [amount, share];
    return {
      key,
      title,
      numeric: true,
      sort: (row) => scaled(row, k),
      cell: ({ total }) => shown(total[k + 1]),
      tip: ({ total }) => tip(total[k + 1]),
    };
  };
  const ratio = (row: NameRow) => {
    const small = scaled(row, 0) < least[0] && scaled(row, 1) < least[1];
    return small ? 0 : Math.log((scaled(row, 1) || 1e-12) / (scaled(row, 0) || 1e-12));
  };
  return [
    nameColumn(),
    column("before", "A", 0),
    column("after", "B", 1),
    {
      key: "change",
      title: "B : A",
      help: "how many times as much it is in B as in A",
      numeric: true,
      sort: ratio,
      cell: (row) => {
        const { text, tone } = ratioText(scaled(row, 0), scaled(row, 1));
        return h("span", { class: tone || "same" }, text);
      },
    },
  ];
}

export const comparedNames: Compared = { columns, lists };
