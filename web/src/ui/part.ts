/** What the page shows under one tab. */
export interface Part {
  readonly element: HTMLElement;
  /** Brings it in step with the address; asks the server only what it has not asked before. */
  update(): void;
  /** Paints again in other colours. */
  repaint?(): void;
  /** Goes to the next or previous match of the search. */
  next?(direction: 1 | -1): void;
}
