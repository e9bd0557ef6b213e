// The one place that talks to the server.

/** An RFC 9457 problem document, or what stands for one when no answer came. */
export class ApiError extends Error {
  constructor(
    readonly title: string,
    readonly detail: string,
    readonly status: number,
    readonly errors: { pointer?: string; parameter?: string; detail: string }[] = [],
  ) {
    super(detail || title);
  }
}

export type Query = [string, string][];

export function url(path: string, query: Query = []): string {
  const text = new URLSearchParams(query).toString();
  return text ? `${path}?${text}` : path;
}

export async function get<T>(path: string, query: Query, signal?: AbortSignal): Promise<T> {
  const response = await ask(url(path, query), signal ? { signal } : {});
  return (await response.json()) as T;
}

/** Returns the response to a request that succeeded; throws `ApiError` for all others. */
export async function ask(address: string, options: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (address.length > LONG) throw tooLong(0);
    throw new ApiError("The server does not answer", "Is kscope serve still running?", 0);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/** From here on a server, or a proxy before it, may refuse an address for its length. */
const LONG = 8_000;

function tooLong(status: number): ApiError {
  const detail = "Remove filters, or filter by a part of a long name.";
  return new ApiError("The question is too long for the server", detail, status);
}

export async function problem(response: Response): Promise<ApiError> {
  if (response.status === 414 || response.status === 431) return tooLong(response.status);
  try {
    const body = await response.json();
    return new ApiError(body.title, body.detail ?? "", response.status, body.errors ?? []);
  } catch {
    return new ApiError(`The server answered ${response.status}`, "", response.status);
  }
}
