// Answers that come in several lines, each a whole answer that is better than the one before.

import { ask, url, type Query } from "./client";

/** Passes each line to `show` when it has come; resolves after the last one. */
export async function stream<T>(
  path: string,
  query: Query,
  signal: AbortSignal,
  show: (answer: T) => void,
): Promise<void> {
  const headers = { Accept: "application/x-ndjson" };
  const response = await ask(url(path, query), { signal, headers });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const part = await reader?.read();
    if (!part || part.done) break;
    const lines = (rest + part.value).split("\n");
    rest = lines.pop() ?? "";
    // Those before it are worse: an answer that came with a later one is not drawn.
    const last = lines.filter(Boolean).at(-1);
    if (last) show(JSON.parse(last) as T);
  }
  if (rest) show(JSON.parse(rest) as T);
}
