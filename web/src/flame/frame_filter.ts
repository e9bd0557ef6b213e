// A search of frames, as the filter that lets through the rows with such frames.

import type { Filter } from "../state/filters";
import { ANY_CASE } from "../state/typed";

/** The text that may follow a frame's name in the text of a stack: the mark of its kind, or its file. */
const SUFFIX = String.raw`(?:_\[\w\]| \[[^;\]]*\])?(?:;|$)`;

/**
 * A search is about the name of one frame, a filter about the text of the whole stack: the ends of a
 * name are those between two semicolons, and "any character" is none of them.
 */
export function frameFilter(column: string, search: string): Filter {
  let text = "";
  let inside = false;
  for (let k = 0; k < search.length; k++) {
    const one = search.charAt(k);
    if (one === "\\") text += one + search.charAt(++k);
    else if (inside || !(one in MEANT)) text += one;
    else text += MEANT[one] ?? one;
    inside = one === "[" ? true : one === "]" ? false : inside;
  }
  return { column, op: "regex", value: ANY_CASE + text };
}

const MEANT: Record<string, string> = { "^": "(?:^|;)", $: SUFFIX, ".": "[^;]" };
