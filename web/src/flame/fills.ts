// The fills of frames: tokens of the style sheet, mixed for the theme that is shown.

import { hexColor } from "../ui/canvas";
import { cssColor } from "../ui/dom";

export interface Fill {
  /** The colour's name in the style sheet. */
  token: string;
  /** How much of it is the ground, from 0 to 1. */
  pale?: number;
  /** Absence is a pattern, not a colour. */
  hatched?: boolean;
  /** The token of a strip along the lower edge. */
  strip?: string;
}

/** Colours as #rrggbb. */
export interface Paint {
  fill: string;
  ink: string;
}

type Rgb = [number, number, number];

function rgb(color: string): Rgb {
  const number = Number.parseInt(hexColor(color).slice(1), 16);
  return [number >> 16, (number >> 8) & 0xff, number & 0xff];
}

/** `part` of the second colour in the first, from 0 to 1. */
export function mix(one: string, other: string, part: number): string {
  const [a, b] = [rgb(one), rgb(other)];
  const parts = a.map((value, k) => Math.round(value + (b[k] - value) * part));
  return `#${parts.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** As WCAG defines it, from 0 to 1. */
function luminance(color: string): number {
  const [r, g, b] = rgb(color).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const [DARK, LIGHT] = ["#14161a", "#f8f9fa"];
/** Where both inks have the same contrast. */
const MIDDLE = 0.185;
/** How much of the ground lies over a frame that a search does not match. */
const VEIL = 0.62;

export function paintOf({ token, pale = 0 }: Fill): Paint {
  const color = cssColor(token);
  const fill = pale ? mix(color, cssColor("--ground"), pale) : hexColor(color);
  return { fill, ink: luminance(fill) > MIDDLE ? DARK : LIGHT };
}

/** A frame that a search does not match. */
export function veiled({ fill, ink }: Paint): Paint {
  const under = mix(fill, cssColor("--ground"), VEIL);
  return { fill: under, ink: mix(hexColor(cssColor("--ink-3")), ink, 0.1) };
}
