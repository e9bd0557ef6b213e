// Home before any row has come: one line that starts an agent for this very server, and what else there is.

import { h, type Child } from "../ui/dom";
import { stretched, svg } from "../ui/svg";
import { commandLine, hints, reach, RECORDED, toServer, type Reach } from "./command";

const EXAMPLE = `table: tcpconnect
prettyname: TCP connects
columns:
  - {name: process, type: string}
  - {name: count, type: count}
probe:
  engine: bpftrace
  script: |
    tracepoint:syscalls:sys_enter_connect
    { @n[comm] = count(); }
  collect:
    map: n
    columns: {process: key.0, count: value}`;

export async function firstVisit(): Promise<HTMLElement> {
  const server = await reach();
  const agent = `sudo kscope agent ${RECORDED} ${toServer(server)}`;
  return h(
    "div.visit",
    h("h1", "Nothing has come in yet"),
    h(
      "p.intro",
      "Kernelscope keeps what BPF scripts see on your hosts and shows where their threads wait, on " +
        "which host, since when. Start an agent on a host that you want to understand:",
    ),
    commandLine(agent, ["kscope", "agent", server.address], true),
    ...hints(server),
    listening(server),
    h("div.ways", ...recording(server), ...ownType()),
  );
}

function listening({ address }: Reach): HTMLElement {
  return h(
    "p.listening",
    { role: "status" },
    h("i.ring"),
    h(
      "span",
      h("b", `Listening on ${address.replace(/^https?:\/\//, "")}.`),
      " This page opens by itself with the first rows, within a minute. ",
      h("code", "kscope doctor"),
      " says what a host lets it see.",
    ),
  );
}

function recording(server: Reach): Child[] {
  const play = `kscope agent ${RECORDED} --replay bundled --history 3600 ${toServer(server)}`;
  return [
    h(
      "section",
      h("h2", "Look at a recording first"),
      h(
        "p",
        "Off-CPU time of a small shop: its processes wait for locks, disks and each other, and a " +
          "checkpoint holds a lock for too long.",
      ),
      h("div.ghost", ghost()),
      commandLine(play, ["--replay", "bundled"]),
      h("p.hint", "It needs no root and nothing else to install."),
    ),
  ];
}

function ownType(): Child[] {
  const lines = EXAMPLE.split("\n").map((line) => h("li", line));
  return [
    h(
      "section",
      h("h2", "Add a data type of your own"),
      h(
        "p",
        "One file gives the table, the checks and the charts. Put it into ",
        h("code", "mine/"),
        ": the agent starts its probe at once.",
      ),
      h("ol.yaml", ...lines),
      h("a.button.outline", { href: "new" }, "Write one here"),
    ),
  ];
}

/** The kinds of frames from the root on; the later ones are only where the graph is deep. */
const KINDS = [
  ...["root", "root", "library", "user", "user", "user", "interpreted", "interpreted"],
  ...["interpreted", "user", "library", "kernel", "kernel", "kernel", "kernel", "kernel"],
];
/** The parts in which a frame forks, taken in turn. */
const FORKS = [[0.48, 0.38, 0.14], [1], [0.7, 0.3], [1], [1], [0.56, 0.24, 0.12], [0.92], [1]];
const WIDTH = 1000;

/** The shape of a flame graph, without names: it stands for what is to come. */
function ghost(): SVGElement {
  const frames: SVGElement[] = [];
  const grow = (x: number, width: number, level: number, turn: number): void => {
    const kind = KINDS[level];
    if (!kind || width < 12) return;
    const attributes = { x, y: level, width: width - 3, height: 0.93, class: kind };
    frames.push(svg("rect", attributes));
    let start = x;
    (FORKS[turn % FORKS.length] ?? []).forEach((part, k) => {
      grow(start, width * part, level + 1, turn * 3 + k + 1);
      start += width * part;
    });
  };
  grow(0, WIDTH, 0, 0);
  return stretched(WIDTH, KINDS.length, ...frames);
}
