// The sentences of answers: names, figures and times stand out from the words between them.

import { h } from "../ui/dom";
import { plain, short } from "../ui/text";
import type { Words } from "../../generated/types";

/** Loud are the figures and the times; the names only have the face of code. */
const CLASSES: Record<string, string> = { value: "b", time: "b.m", marker: "b" };
const MOST = 120;

export function sentence(words: Words[]): (HTMLElement | string)[] {
  return words.map(({ text, kind }) => {
    if (!kind) return text;
    const shown = short(plain(text), MOST);
    const title = shown === text ? undefined : text;
    return h(CLASSES[kind] ?? "span.m", { title }, shown);
  });
}

/** The same inside a longer sentence. */
export function continued(words: Words[]): Words[] {
  const [first, ...rest] = words;
  if (!first || first.kind) return words;
  return [{ kind: "", text: first.text.charAt(0).toLowerCase() + first.text.slice(1) }, ...rest];
}
