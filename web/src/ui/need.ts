// For what is there by construction, which the type checker cannot know.

/** Returns the value; throws an error that names it if it is missing. */
export function need<T>(value: T, name: string): NonNullable<T> {
  if (value === null || value === undefined) throw new Error(`${name} is missing`);
  return value;
}
