// The sizes of a frame, from the style sheet: they differ with the width of the window.

export interface Metrics {
  /** A frame's height, with the gap below it. */
  row: number;
  /** The font of names, and that of rows that are no frames. */
  font: string;
  bold: string;
  /** The size of the font. */
  size: number;
}

/** Of the page as it is now. */
export function metrics(): Metrics {
  const style = getComputedStyle(document.documentElement);
  const length = (name: string, instead: number) =>
    Number.parseFloat(style.getPropertyValue(name)) || instead;
  const size = length("--t-data", 11.5);
  const family = style.getPropertyValue("--mono").trim() || "monospace";
  const font = `${size}px ${family}`;
  return { row: length("--frame", 20), font, bold: `600 ${font}`, size };
}
