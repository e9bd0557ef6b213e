// The menu that saves a flame graph: pictures made here, files made by the server.

import { url, type Query } from "../api/client";
import { download } from "../ui/dom";
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

/** `exports` are the server's formats. speedscope, which is served too, fetches its file itself. */
export function fileItems(
  exports: Record<string, string>,
  table: string,
  query: Query,
): MenuItem[] {
  const address = (format: string) =>
    url(`/api/v1/flamegraph/${table}`, [...query, ["format", format]]);
  const files = Object.entries(exports).map(([format, text]) => ({
    text,
    run: () => location.assign(address(format)),
  }));
  const open = () => {
    const profileURL = new URL(address("speedscope"), location.href).href;
    const hash = new URLSearchParams({ profileURL, title: `Kernelscope ${table}` });
    const page = `/speedscope/index.html#${hash.toString().replace(/\+/g, "%20")}`;
    window.open(page, "_blank", "noopener");
  };
  return [...files, { text: "Open in speedscope", run: open }];
}
