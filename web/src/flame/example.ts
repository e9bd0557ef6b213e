// An example of a flame graph, for a category without stacks yet.

import { colorByKind } from "./colors";
import { describe } from "./describe";
import { FlameGraph } from "./graph";
import { makeTree } from "./tree";

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

export function exampleFlame(unit: string): HTMLElement {
  const values = NODES.map(([, , value]) => value);
  const self = NODES.map(([level, , value], k) => {
    let inside = 0;
    for (let i = k + 1; i < NODES.length && NODES[i][0] > level; i++) {
      if (NODES[i][0] === level + 1) inside += NODES[i][2];
    }
    return value - inside;
  });
  const names = NODES.map(([, name]) => name);
  const tree = makeTree(
    names,
    names.map((_, k) => k),
    NODES.map(([level]) => level),
    [{ value: values, self }],
  );
  const graph = new FlameGraph("Example", {
    zoom: () => undefined,
    select: () => undefined,
    menu: () => undefined,
    describe: (node) => describe(tree, node, { unit }),
  });
  const coloring = colorByKind(tree, { levels: 0, names: new Uint8Array(names.length) });
  graph.show({ tree, coloring, flame: false, zoom: 0 });
  return graph.element;
}
