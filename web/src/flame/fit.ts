// Names that are longer than their place.

/** Shorter than this tells nothing. */
const LEAST = 4;

/**
 * As many letters of a name as there is room for. What tells a long name from its neighbours is its
 * end: its head or its middle is cut, and the namespace or the place in a file go first.
 */
export function fit(text: string, letters: number): string {
  const room = Math.floor(letters);
  if (text.length <= room) return text;
  const left = room - 1;
  if (left < LEAST - 1) return "";
  const own = text.slice(text.lastIndexOf("::") + 2);
  if (own.length < text.length && own.length > 2 && own.length <= left) return `…${own}`;
  const place = text.search(/ (?=\(|\S+:\d+$)/);
  if (place > 0 && place <= room) return text.slice(0, place);
  const head = left > 8 ? Math.floor(left * 0.36) : left > 6 ? 2 : 0;
  return `${text.slice(0, head)}…${text.slice(text.length - left + head)}`;
}
