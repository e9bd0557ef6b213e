// Reads an answer of "What changed here?" that comes piece by piece; a newer question ends it.

import { ApiError, type Query } from "../api/client";
import { stream } from "../api/stream";
import type { Changes } from "../../generated/types";

export const CHANGES = "api/v1/changes";

export class ChangesReader {
  answer: Changes | null = null;
  failure: ApiError | null = null;
  private abort: AbortController | null = null;

  /** `changed` is called when there is more of the answer, or none will come. */
  constructor(private readonly changed: () => void) {}

  get reading(): boolean {
    return this.abort !== null;
  }

  async ask(query: Query): Promise<void> {
    this.abort?.abort();
    const abort = new AbortController();
    Object.assign(this, { abort, answer: null, failure: null });
    this.changed();
    try {
      await stream<Changes>(CHANGES, query, abort.signal, (answer) => {
        if (this.abort !== abort) return;
        this.answer = answer;
        this.changed();
      });
      if (this.abort !== abort) return;
      if (!this.answer?.done) throw new ApiError("The answer broke off", "", 0);
    } catch (error) {
      if (this.abort !== abort) return;
      this.failure = asApiError(error);
    }
    this.abort = null;
    this.changed();
  }

  /** The lines that have come stay. */
  cancel(): void {
    this.abort?.abort();
    this.abort = null;
    this.failure = new ApiError("Cancelled", "", 0);
    this.changed();
  }
}

function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError("The answer broke off", error instanceof Error ? error.message : "", 0);
}
