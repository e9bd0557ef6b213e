// The letters that do what the menu of a frame does.

/** Only, hide, callers (sandwich), what changed, copy. */
const LETTERS = ["o", "h", "s", "w", "c"] as const;

export type Letter = (typeof LETTERS)[number];

export function isLetter(key: string): key is Letter {
  return (LETTERS as readonly string[]).includes(key);
}
