// The frames that were in the middle, one after the other, and the way back to each.

import { label } from "../flame/paint";
import { button, h, replace } from "../ui/dom";
import { short } from "../ui/text";

/** As many steps as have room. */
const MOST = 6;

export class Way {
  readonly element = h("nav.crumbs", { "aria-label": "Frames in the middle" });
  private walked: string[] = [];

  constructor(private readonly choose: (frame: string) => void) {}

  show(frame: string): void {
    const known = this.walked.indexOf(frame);
    const further = [...this.walked, frame].filter(Boolean).slice(-MOST);
    this.walked = known < 0 ? further : this.walked.slice(0, known + 1);
    const steps = this.walked.map((name) => {
      const text = short(label(name));
      const current = name === frame ? "true" : undefined;
      return button(text, () => this.choose(name), { title: text, "aria-current": current });
    });
    replace(this.element, ...steps);
  }
}
