// Text from other sources, made safe to show: short, and without characters that reorder it.

/** Marks and overrides of direction: they would make other text look like something else. */
const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Text that may have lines. */
export function readable(text: string): string {
  return text.replace(BIDI, escaped);
}

const ANY = new RegExp(`${BIDI.source}|${CONTROL.source}`);

/** A name on one line. Called for very many names; almost none has such characters. */
export function plain(name: string): string {
  return ANY.test(name) ? readable(name).replace(CONTROL, escaped) : name;
}

/** At most `most` characters; the end of a longer text is left out. */
export function short(text: string, most = 300): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
