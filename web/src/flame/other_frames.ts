// Whether a tree has frames that stand for many stacks which are not kept apart.

import { isRest } from "./frames";
import type { Tree } from "./tree";

const known = new WeakMap<string[], boolean>();

export function hasRest({ names }: Tree): boolean {
  let found = known.get(names);
  if (found === undefined) {
    found = names.some(isRest);
    known.set(names, found);
  }
  return found;
}
