// A node as text: for the card at the pointer, the screen reader and the exported picture.

import { exact, percent } from "../ui/format";
import { bare, doing, summed, told, type Measure } from "../ui/rate";
import { plain, short } from "../ui/text";
import { ENDS, frame, KIND_TEXT, REST } from "./frames";
import { label } from "./paint";
import { ratioText } from "./ratio";
import { total, wholes, type Tree } from "./tree";

export interface Fact {
  term: string;
  text: string;
  /** Told in the colour of what rises or falls. */
  loud?: { text: string; tone: "more" | "less" | "" };
}

export interface Card {
  title: string;
  /** Why it is no frame like others. */
  notes: string[];
  facts: Fact[];
}

export interface Telling {
  measure: Measure;
  /** For a comparison: that of each side, how they are called, and what they are multiplied by. */
  sides?: { measures: [Measure, Measure]; names: [string, string]; scale: [number, number] } | null;
  /** The node is a group (a process), no frame. */
  grouped?: boolean;
  /** Per side, what shares are of; the tree's own whole if not given. */
  all?: number[];
  /** The tree is a part of everything: shares of the part are shown too. */
  focused?: boolean;
  /** How the category calls its events. */
  events?: string;
}

export function describe(tree: Tree, node: number, telling: Telling): Card {
  const name = tree.names[tree.name[node]];
  const note = REST.get(name) ?? ENDS.get(name);
  const kind: Fact[] = telling.grouped ? [] : [{ term: "kind", text: kindText(name) }];
  const facts = telling.sides ? comparison(tree, node, telling) : values(tree, node, telling);
  return { title: short(label(name)), notes: note ? [note] : [], facts: [...facts, ...kind] };
}

/** The same for a reader, in lines. */
export function cardLines({ title, notes, facts }: Card): string[] {
  const lines = facts.map(({ term, text, loud }) =>
    [term, text, loud?.text].filter(Boolean).join(" "),
  );
  return [title, ...notes, ...lines];
}

function kindText(name: string): string {
  const { kind, library } = frame(name);
  const known = ENDS.has(name) ? "root missing" : KIND_TEXT[kind];
  return library ? `${known} · ${short(plain(library))}` : known;
}

function values(tree: Tree, node: number, telling: Telling): Fact[] {
  const { measure, all = wholes(tree), focused = false, events = "events" } = telling;
  const { value, self } = tree.sides[0];
  const shares = (part: number) => {
    const ofAll = `${percent(part, all[0] ?? 0)} of all`;
    return focused ? `${ofAll}, ${percent(part, total(tree))} of the focus` : ofAll;
  };
  const tell = (term: string, part: number): Fact => {
    return { term, text: `${told(part, measure)} · ${shares(part)}` };
  };
  const facts = [tell(doing(measure) || "total", value[node])];
  if (measure.rate) facts.push({ term: "sum", text: summed(value[node], measure) });
  if (self[node] && self[node] !== value[node]) facts.push(tell("self", self[node]));
  if (tellsEvents(tree, [0])) {
    facts.push({ term: events, text: exact(tree.sides[1].value[node]) });
  }
  return facts;
}

/** Whether events are known, and other than the values; those of `sides` follow after these. */
function tellsEvents(tree: Tree, sides: number[]): boolean {
  return sides.some((side) => {
    const events = tree.sides[side + sides.length];
    return events && events.value[0] !== tree.sides[side].value[0];
  });
}

function comparison(tree: Tree, node: number, telling: Telling): Fact[] {
  const { sides, all = wholes(tree), events = "events" } = telling;
  if (!sides) return [];
  const counted = tellsEvents(tree, [1, 2]);
  const facts = [0, 1].map((k): Fact => {
    const value = tree.sides[k + 1].value[node];
    const share = percent(value, all[k + 1] ?? 0);
    const text = `${told(value, sides.measures[k])} · ${share}`;
    const count = counted ? ` · ${exact(tree.sides[k + 3].value[node])} ${events}` : "";
    return { term: `${"AB"[k]} ${sides.names[k]}`, text: `${text}${count}` };
  });
  const [before, after] = [1, 2].map((k) => tree.sides[k].value[node] * sides.scale[k - 1]);
  const { text, tone } = ratioText(before, after);
  return [...facts, { term: "B : A", text: "", loud: { text, tone } }];
}

/** The text at the right end of a row that is no frame. */
export function asideText(tree: Tree, node: number, measure: Measure, side = 0): string {
  const value = tree.sides[side].value[node];
  return node ? bare(value, measure) : told(value, measure);
}
