// The menu that saves a flame graph: pictures made here, files made by the server.

import type { Query } from "../api/client";
import { download } from "../ui/dom";
import { flameAddress, speedscopeAddress } from "../api/downloads";
import { png, svg, type Picture } from "../flame/export";
import type { MenuItem } from "../ui/popover";

async function savePng(name: string, picture: Picture): Promise<void> {
  const blob = await png(picture);
  if (blob) download(name, blob);
}

/** Both pictures show what is shown: the zoom, the search, the direction. */
export function pictureItems(table: string, picture: Picture): MenuItem[] {
  const name = `${table}-flamegraph`;
  return [
    { text: "SVG", run: () => download(`${name}.svg`, svg(picture)) },
    { text: "PNG", run: () => void savePng(`${name}.png`, picture) },
  ];
}

export function fileItems(table: string, query: Query): MenuItem[] {
  const save = (format: string) => () => location.assign(flameAddress(table, query, format));
  return [
    { text: "Folded stacks", run: save("folded") },
    { text: "pprof", run: save("pprof") },
    { text: "speedscope file", run: save("speedscope") },
    {
      text: "Open in speedscope",
      run: () => void window.open(speedscopeAddress(table, query), "_blank", "noopener"),
    },
  ];
}
