// Parts of the page that are loaded when they are first shown.

export interface Shown {
  readonly element: HTMLElement;
  update(): void;
  /** When it is no longer wanted. */
  left?(): void;
}

/** A place for such a part; the part is made once, when it is first wanted. */
export class Later {
  private made: Shown | null = null;
  private asked = false;

  constructor(
    private readonly place: HTMLElement,
    private readonly make: () => Promise<Shown>,
  ) {}

  update(wanted: boolean): void {
    const left = !this.place.hidden && !wanted;
    this.place.hidden = !wanted;
    if (left) this.made?.left?.();
    if (!wanted) return;
    if (this.made) this.made.update();
    else void this.load();
  }

  private async load(): Promise<void> {
    if (this.asked) return;
    this.asked = true;
    try {
      this.made = await this.make();
      this.place.append(this.made.element);
      if (!this.place.hidden) this.made.update();
    } finally {
      this.asked = this.made !== null;
    }
  }
}
