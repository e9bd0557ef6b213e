// Whether a tree has frames that stand for many stacks which are not kept apart.

import { REST } from "./frames";
import type { Tree } from "./tree";

const known = new WeakMap<string[], boolean>();

export function hasRest({ names }: Tree): boolean {
  let found = known.get(names);
  if (found === undefined) {
    found = names.some((name) => REST.has(name));
    known.set(names, found);
  }
  return found;
}
