// Work that is done again only if something that it depends on has changed.

/** Returns a function that calls `make` only if an input differs from the last call's. */
export function memo<A extends unknown[], T>(make: (...inputs: A) => T): (...inputs: A) => T {
  let last: { inputs: A; made: T } | null = null;
  return (...inputs) => {
    if (!last || inputs.some((one, k) => one !== last?.inputs[k])) {
      last = { inputs, made: make(...inputs) };
    }
    return last.made;
  };
}
