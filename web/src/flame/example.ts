// An example of a flame graph, for a category without stacks yet.

import { colorByKind } from "./colors";
import { asideText, describe } from "./describe";
import { FlameGraph } from "./graph";
import { makeTree, selfOf } from "./tree";
import type { Measure } from "../ui/rate";

// Level, name, total: in preorder.
const NODES: [number, string, number][] = [
  [0, "all", 100],
  [1, "main", 100],
  [2, "handle_request", 70],
  [3, "read_file", 42],
  [4, "read [libc.so.6]", 42],
  [5, "vfs_read_[k]", 42],
  [6, "io_schedule_[k]", 30],
  [3, "take_lock", 24],
  [4, "futex_wait_[k]", 24],
  [2, "write_log", 26],
  [3, "fsync [libc.so.6]", 26],
  [4, "do_fsync_[k]", 26],
];

type Columns = [number[], string[], number[]];

export function exampleFlame(unit: string): HTMLElement {
  const measure: Measure = { unit, rate: "", seconds: 1 };
  const [level, names, value] = [0, 1, 2].map((k) => NODES.map((node) => node[k])) as Columns;
  const sides = [{ value, self: selfOf(level, value) }];
  const tree = makeTree(names, [...names.keys()], level, sides);
  const graph = new FlameGraph("Example", {
    zoom: () => undefined,
    select: () => undefined,
    menu: () => undefined,
    describe: (node) => describe(tree, node, { measure }),
  });
  const coloring = colorByKind(tree, { levels: 0, names: new Uint8Array(names.length) });
  const aside = (node: number) => (node ? null : asideText(tree, node, measure));
  graph.show({ tree, look: { coloring, aside, added: null }, flame: false, zoom: 0 });
  return graph.element;
}
