// The room that the texts of all y axes share.

/** Between the texts of an axis and the axis. */
export const GAP = 6;
const LEAST_LEFT = 52;

interface Redrawn {
  redraw(): void;
}

/** The room on the left for the texts of the y axes: one for all plots, so that times line up. */
export class Gutter {
  private readonly wanted = new Map<Redrawn, number>();
  width = LEAST_LEFT;

  /** `root` contains the plots and what is aligned with them. */
  constructor(private readonly root = document.documentElement) {}

  /** Makes room for a plot's widest text, in pixels. */
  want(plot: Redrawn, text: number): void {
    this.wanted.set(plot, Math.ceil(text) + GAP + 2);
    const width = Math.max(LEAST_LEFT, ...this.wanted.values());
    if (width === this.width) return;
    this.width = width;
    this.root.style.setProperty("--axis", `${width}px`);
    for (const one of this.wanted.keys()) one.redraw();
  }
}
