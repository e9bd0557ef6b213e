// The explanation of an empty view: how to get data, or which filters hide it.

import { get } from "../api/client";
import { filterWords } from "../header/words";
import { category, type Context } from "../state/context";
import { button, h } from "../ui/dom";
import { filterText } from "../state/filters";
import { need } from "../ui/need";
import { ago, dateTime, zoneName } from "../ui/format";
import { iso } from "../state/ranges";
import { commandLine, hints, reach, RECORDED, toServer } from "./command";
import type { CategoryAnswer, Rows } from "../../generated/types";

/** The reports of agents do not have their own probe: every agent sends them. */
const AGENTS = "agent";

/** Explains an empty answer: no data yet, none in this range, or none behind these filters. */
export async function explainEmpty(context: Context): Promise<HTMLElement> {
  const { table } = context.store.state;
  const latest = await latestRow(table).catch(() => null);
  return latest === null
    ? firstVisit(context, need(category(context), "the shown data type"))
    : nothingHere(context, latest);
}

async function firstVisit(context: Context, one: CategoryAnswer): Promise<HTMLElement> {
  waitForRows(context);
  const server = await reach();
  const { address } = server;
  const agent = toServer(server);
  const bearer = server.token ? ' -H "Authorization: Bearer TOKEN"' : "";
  const body = `{"hostname": "$(hostname)", "${one.table}": [${exampleRow(one)}]}`;
  const start = "Start an agent on the host that you want to look into:";
  const how = one.has_probe
    ? [
        h("p", start),
        commandLine(`sudo kscope agent ${one.table} ${agent}`, [one.table]),
        h("p", "No host at hand? Play the off-CPU times that come recorded with Kernelscope:"),
        commandLine(`kscope agent ${RECORDED} --replay bundled --history 3600 ${agent}`, []),
      ]
    : one.table === AGENTS
      ? [
          h("p", `Every agent sends these beside what its probe sees. ${start}`),
          commandLine(`sudo kscope agent ${RECORDED} ${agent}`, []),
        ]
      : [
          h("p", "Nothing has sent rows of this type yet. Any script can, with one POST:"),
          commandLine(
            `curl ${address}/api/v1/ingest${bearer} -d "${body.replaceAll('"', '\\"')}"`,
            [],
          ),
        ];
  return h(
    "div.empty.first",
    h("h2", `No ${one.prettyname} yet`),
    h("p", one.description),
    ...how,
    ...hints(server),
    h("p.hint", "The page shows the first rows as soon as they arrive."),
  );
}

let waiting = 0;

/** Asks again until the first rows arrive. */
function waitForRows(context: Context): void {
  const { table } = context.store.state;
  clearTimeout(waiting);
  waiting = window.setTimeout(async () => {
    if (context.store.state.table !== table) return;
    const latest = await latestRow(table).catch(() => null);
    if (latest === null) waitForRows(context);
    else context.refresh();
  }, 2000);
}

/** The shortest row that the server accepts; all columns if none is required. */
function exampleRow(one: CategoryAnswer): string {
  const own = one.columns.filter((each) => each.name !== "time" && each.name !== "hostname");
  const needed = own.filter((each) => !each.optional);
  const values = (needed.length ? needed : own).map((each) => [each.name, each.example]);
  return JSON.stringify(Object.fromEntries(values));
}

function nothingHere(context: Context, latest: number): HTMLElement {
  const { store, range } = context;
  const { state } = store;
  const hints: HTMLElement[] = [];
  for (const filter of state.filters) {
    const without = () =>
      store.set({ filters: state.filters.filter((one) => filterText(one) !== filterText(filter)) });
    hints.push(button(`Remove the filter ${filterWords(context, filter)}`, without));
  }
  if (state.box) hints.push(button("Remove the box", () => store.set({ box: null })));
  const show = () => {
    const half = (range.to - range.from) / 2;
    store.set({ from: iso(latest - half), to: iso(latest + half), box: null, live: false });
    context.refresh();
  };
  const outside = latest < range.from || latest > range.to;
  if (outside) hints.push(button(`Show the newest rows, ${ago(latest)}`, show));
  return h(
    "div.empty",
    h("h2", "Nothing in this range"),
    h(
      "p",
      `The newest row of this type is of ${dateTime(latest, state.zone)} ${zoneName(state.zone)}.`,
    ),
    h("div.hints", ...hints),
    h("p.hint", "If an agent should be sending: kscope doctor, on its host."),
  );
}

/** The newest row of all time: says whether there is data outside the range. */
async function latestRow(table: string): Promise<number | null> {
  const query: [string, string][] = [
    ["from", "1970-01-02T00:00:00Z"],
    ["to", "2200-01-01T00:00:00Z"],
    ["limit", "1"],
    ["order", "-time"],
  ];
  const answer = await get<Rows>(`api/v1/rows/${table}`, query);
  const time = answer.rows[0]?.[answer.columns.indexOf("time")];
  return typeof time === "number" ? time : null;
}
