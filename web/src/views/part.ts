// What the page needs of a view.

/** The view under one tab. */
export interface Part {
  readonly element: HTMLElement;
  /** Where one is in the data; it stands beside the tabs. */
  readonly path?: HTMLElement;
  /** The view's own controls, at the right of the tabs. */
  readonly tools?: HTMLElement;
  /** What the colours mean, in the foot. */
  readonly legend?: HTMLElement;
  /** Shows what the address says; asks the server only questions that it has not asked before. */
  update(): void;
  /** Goes to the next or previous match of the search. */
  next?(direction: 1 | -1): void;
}
