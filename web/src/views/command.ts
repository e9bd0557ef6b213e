// Commands to copy, with the address of this very server.

import { get } from "../api/client";
import { copyFrom } from "../ui/copy";
import { h } from "../ui/dom";
import { icon } from "../ui/icons";
import type { ServerInfo } from "../../generated/types";

/** The category whose recording comes with Kernelscope, and the probe that most begin with. */
export const RECORDED = "offcputime";

/** How to reach the server that takes rows, as far as it can be known here. */
export interface Reach {
  address: string;
  /** Whether rows need a token. */
  token: boolean;
  /** The server does not know of the proxy that this page came through, which may take no rows. */
  proxied: boolean;
}

export async function reach(): Promise<Reach> {
  const server = await get<ServerInfo>("api/v1/server", []).catch(() => null);
  const known = (server?.ingest ?? "ADDRESS").replace(/\/$/, "");
  const proxied = location.protocol === "https:" && !known.startsWith("https:");
  const address = proxied ? new URL(".", location.href).href.replace(/\/$/, "") : known;
  return { address, token: server?.token ?? false, proxied };
}

/** The part of an agent's command that leads here. */
export function toServer({ address, token }: Reach): string {
  return `--server ${address}${token ? " --token-file FILE" : ""}`;
}

export function hints({ token, proxied }: Reach): (HTMLElement | false)[] {
  return [
    token && h("p.hint", h("code", "kscope token --scope ingest"), " makes a token."),
    proxied && h("p.hint", "Write where your proxy takes rows for the address."),
  ];
}

/** A command in one line, and the button that copies it; the words in `loud` matter most. */
export function commandLine(command: string, loud: string[], primary = false): HTMLElement {
  const words = command.split(" ").flatMap((word, k) => {
    const shown = loud.includes(word) ? h("b", word) : word;
    return k ? [" ", shown] : [shown];
  });
  const label = h("span", "Copy");
  const copy = h(
    primary ? "button.primary" : "button.outline",
    { type: "button", onclick: () => void copyFrom(label, command), "aria-label": "Copy command" },
    icon("copy"),
    label,
  );
  return h("div.command", h("code", ...words), copy);
}
