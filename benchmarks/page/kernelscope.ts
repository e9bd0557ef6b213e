import { colorByKind } from "../../web/src/flame/colors";
import { FlameGraph } from "../../web/src/flame/graph";
import { NameTable } from "../../web/src/flame/names";
import { makeTree, outermost, sum, type Tree } from "../../web/src/flame/tree";
import { matchNames } from "../../web/src/search";
import { offer } from "./harness";

// With the table beside it, as on the page.
const graph = new FlameGraph("benchmark", {
  zoom: () => undefined,
  select: () => undefined,
  menu: () => undefined,
  describe: () => [],
});
const table = new NameTable({
  order: () => undefined,
  pick: () => undefined,
  menu: () => undefined,
  marked: () => false,
});
document.querySelector("#place")!.append(graph.element, table.element);
let tree: Tree;

offer({
  load(text) {
    const answer = JSON.parse(text);
    tree = makeTree(answer.names, answer.name, answer.level, [answer]);
    graph.show(
      tree,
      colorByKind(tree, {
        levels: 0,
        names: new Uint8Array(tree.names.length),
      }),
      false,
    );
    table.setTree(tree, "us", 0, null);
    table.show("-total", null);
  },
  zoom() {
    const value = tree.sides[0]!.value;
    let best = 1;
    for (let i = 1; i < tree.n; i = tree.end[i]!)
      if (value[i]! > value[best]!) best = i;
    graph.zoomTo(best);
  },
  search(text) {
    const hits = matchNames(tree.names, new RegExp(text, "i"));
    sum(
      tree,
      outermost(tree, (i) => hits[tree.name[i]!] === 1),
    );
    graph.highlight(hits);
    table.show("-total", hits);
  },
});
