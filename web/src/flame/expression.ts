// The search expression: plain text, or a regular expression with the server's syntax. RE2 needs time in
// proportion to pattern times text; the browser's own engine needs 2^30 steps for `(a+)+$` and 30 letters.

import type { RE2JS } from "re2js";
import { label } from "./paint";

const MOST_TEXT = 1000;
/** Of one name: an expression's size times the name's length. */
const MOST_WORK = 5e6;
/** For all names of a tree, in milliseconds. */
const MOST_TIME = 1000;
/** How much work is done between two looks at the clock. */
const BETWEEN = 1e5;
/** Without anything that a regular expression gives a meaning to. */
const PLAIN = /^[^\\^$.|?*+()[\]{}]*$/;

interface Expression {
  test(text: string): boolean;
  /** How many steps each character may take. */
  size: number;
}

export interface Found {
  /** Per name, 1 if it matches; null if nothing was searched. */
  hits: Uint8Array | null;
  /** Why nothing was searched, for people; "" without a fault. */
  wrong: string;
  /** The engine is not loaded yet. */
  pending: boolean;
}

const NOTHING: Found = { hits: null, wrong: "", pending: false };

let engine: typeof RE2JS | null = null;
let loading: Promise<boolean> | null = null;

/** The engine is as large as the first picture's script, and most searches are plain. */
export function loadEngine(): Promise<boolean> {
  loading ??= import("re2js").then(
    (module) => {
      engine = module.RE2JS;
      return true;
    },
    () => {
      loading = null;
      return false;
    },
  );
  return loading;
}

/** The names that match, with or without the suffix that marks their kind. */
export function search(names: string[], text: string): Found {
  if (!text) return NOTHING;
  const plain = PLAIN.test(text);
  if (text.length > MOST_TEXT) return fault(`too long: use at most ${MOST_TEXT} characters`);
  if (!plain && !engine) return { ...NOTHING, pending: true };
  const expression = plain || !engine ? plainly(text) : compile(text, engine);
  if (!expression) return fault("not a regular expression");
  const hits = matchNames(names, expression);
  return hits ? { ...NOTHING, hits } : fault("takes too long: use a simpler expression");
}

function fault(wrong: string): Found {
  return { ...NOTHING, wrong };
}

function plainly(text: string): Expression {
  const expression = new RegExp(text, "i");
  return { test: (name) => expression.test(name), size: 1 };
}

function compile(text: string, engine: typeof RE2JS): Expression | null {
  try {
    const expression = engine.compile(text, engine.CASE_INSENSITIVE);
    return { test: (name) => expression.test(name), size: expression.programSize() };
  } catch {
    return null;
  }
}

/** Null if that takes too long. */
function matchNames(names: string[], { test, size }: Expression): Uint8Array | null {
  const hits = new Uint8Array(names.length);
  const end = performance.now() + MOST_TIME;
  let work = 0;
  for (let k = 0; k < names.length; k++) {
    const name = names[k];
    const bare = label(name);
    work += size * name.length;
    if (size * name.length > MOST_WORK) return null;
    if (work > BETWEEN) {
      work = 0;
      if (performance.now() > end) return null;
    }
    hits[k] = test(bare) || (bare !== name && test(name)) ? 1 : 0;
  }
  return hits;
}
