// The menu that saves a flame graph: pictures made here, files made by the server.

import { url, type Query } from "../api/client";
import { png, svg, type Picture } from "../flame/export";
import { flameQuery, type Source } from "../flame/flame_query";
import type { NameRow } from "../flame/name_lines";
import { foldedSides, ticket } from "../flame/ticket";
import { category, type Context } from "../state/context";
import { copyText } from "../ui/copy";
import { download } from "../ui/dom";
import { menu, type MenuItem } from "../ui/popover";

/** `rows` are those of the table beside the graph; `picture` is null while nothing is drawn. */
export function exportMenu(
  opener: HTMLElement,
  context: Context,
  source: Source | null,
  picture: Picture | null,
  rows: NameRow[],
): void {
  const { table } = context.store.state;
  const pictures = picture ? pictureItems(table, picture) : [];
  const files = source?.sides
    ? sideItems(category(context)?.prettyname ?? table, table, source, rows)
    : fileItems(context.exports, table, flameQuery(context));
  menu(opener, [...pictures, ...files], "Export");
}

function sideItems(title: string, table: string, source: Source, rows: NameRow[]): MenuItem[] {
  const folded = () => new Blob([foldedSides(source.tree)], { type: "text/plain" });
  return [
    {
      text: "Folded stacks, A and B",
      run: () => download(`${table}-compared.folded`, folded()),
    },
    {
      text: "Markdown for a ticket",
      run: () => void copyText(ticket(title, source, rows, location.href)),
    },
  ];
}

async function savePng(name: string, picture: Picture): Promise<void> {
  const blob = await png(picture);
  if (blob) download(name, blob);
}

/** Both pictures show what is shown: the zoom, the search, the direction. */
function pictureItems(table: string, picture: Picture): MenuItem[] {
  const name = `${table}-flamegraph`;
  return [
    { text: "SVG", run: () => download(`${name}.svg`, svg(picture)) },
    { text: "PNG", run: () => void savePng(`${name}.png`, picture) },
  ];
}

/** `exports` are the server's formats. speedscope, which is served too, fetches its file itself. */
function fileItems(exports: Record<string, string>, table: string, query: Query): MenuItem[] {
  const address = (format: string) =>
    url(`api/v1/flamegraph/${table}`, [...query, ["format", format]]);
  const files = Object.entries(exports).map(([format, text]) => ({
    text,
    run: () => location.assign(address(format)),
  }));
  const open = () => {
    const profileURL = new URL(address("speedscope"), location.href).href;
    const hash = new URLSearchParams({ profileURL, title: `Kernelscope ${table}` });
    const page = `speedscope/index.html#${hash.toString().replace(/\+/g, "%20")}`;
    window.open(page, "_blank", "noopener");
  };
  return [...files, { text: "Open in speedscope", run: open }];
}
