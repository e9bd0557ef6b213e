// A link to what is shown: as it is while it is short, else stored by the server, else compressed.

import { get } from "../api/client";
import { packedAddress, toAddress } from "../state/address";
import type { Context } from "../state/context";
import { iso, rangeText } from "../state/ranges";
import { copyFrom } from "../ui/copy";
import { menu } from "../ui/popover";
import type { ServerInfo } from "../../generated/types";

/** Mail and chat break longer ones. */
const SHORT = 500;

/** A moving range would be another one by the time the link is opened. */
export function share(context: Context, opener: HTMLElement): void {
  const { store, range } = context;
  const { state } = store;
  const fixed = toAddress({ ...state, from: iso(range.from), to: iso(range.to), live: false });
  const copy = (address: string) => async () => copyFrom(opener, await link(address));
  if (!`${state.from}${state.to}`.includes("now")) {
    void copy(fixed)();
    return;
  }
  const moving = `Link to ${rangeText(state.from, state.to, state.zone)}, whenever it is opened`;
  const items = [
    { text: "Link to what is shown now", run: () => void copy(fixed)() },
    { text: moving, run: () => void copy(toAddress(state))() },
  ];
  menu(opener, items, "Share");
}

async function link(address: string): Promise<string> {
  const at = (path: string) => new URL(path, location.href).href;
  if (address.length <= SHORT) return at(address);
  return at((await stored(address)) ?? (await packedAddress(address)));
}

/** The short link that the server keeps; null where it may not. Its paths begin at the page's. */
async function stored(address: string): Promise<string | null> {
  try {
    if (!(await get<ServerInfo>("api/v1/server", [])).links) return null;
    const answer = await fetch("api/v1/links", { method: "POST", body: address.slice(1) });
    const { path } = answer.ok ? ((await answer.json()) as { path?: string }) : {};
    return path ? `.${path}` : null;
  } catch {
    return null;
  }
}
