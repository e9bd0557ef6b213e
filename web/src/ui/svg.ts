// Elements of SVG pictures. Their colours are classes of the style sheet, so a theme needs no redraw.

const SPACE = "http://www.w3.org/2000/svg";

/** Makes an element, as `svg("rect", { width: 2 }, child)`. */
export function svg(
  tag: string,
  attributes: Record<string, string | number>,
  ...children: (Node | null | false)[]
): SVGElement {
  const element = document.createElementNS(SPACE, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, `${value}`);
  for (const child of children) if (child) element.append(child);
  return element;
}

/** A picture that is stretched to the size of its element; `aria-hidden`, as its text stands beside it. */
export function stretched(
  width: number,
  height: number,
  ...children: (Node | null | false)[]
): SVGElement {
  const attributes = { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" };
  return svg("svg", { ...attributes, "aria-hidden": "true" }, ...children);
}
