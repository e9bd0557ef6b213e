/** The view under one tab. */
export interface Part {
  readonly element: HTMLElement;
  /** Shows what the address says; asks the server only questions that it has not asked before. */
  update(): void;
  /** Goes to the next or previous match of the search. */
  next?(direction: 1 | -1): void;
}
