// Addresses of the same answer in other formats.

import { url, type Query } from "./client";

export function flameAddress(table: string, query: Query, format: string): string {
  return url(`/api/v1/flamegraph/${table}`, [...query, ["format", format]]);
}

/** speedscope is served beside this page and fetches the profile itself. */
export function speedscopeAddress(table: string, query: Query): string {
  const profile = new URL(flameAddress(table, query, "speedscope"), location.href).href;
  const hash = new URLSearchParams({ profileURL: profile, title: `Kernelscope ${table}` });
  return `/speedscope/index.html#${hash.toString().replace(/\+/g, "%20")}`;
}
