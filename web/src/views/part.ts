// The parts of a view that the page places.

/** The view under one tab. */
export interface Part {
  readonly element: HTMLElement;
  /** Where one is in the data; it stands beside the tabs. */
  readonly path?: HTMLElement;
  /** The view's own controls, at the right of the tabs. */
  readonly tools?: HTMLElement;
  /** The meaning of the colours, in the foot. */
  readonly legend?: HTMLElement;
  /** Shows what the address says; asks the server only questions that it has not asked before. */
  update(): void;
  /** Goes to the next or previous match of the search. */
  next?(direction: 1 | -1): void;
}
