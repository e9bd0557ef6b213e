import { flameTree, sourceOf } from "../../web/src/flame/flame_query";
import { SearchBox } from "../../web/src/flame/search";
import { Store } from "../../web/src/state/address";
import type { Context } from "../../web/src/state/context";
import { h } from "../../web/src/ui/dom";
import { measureOf } from "../../web/src/ui/rate";
import { FlameView } from "../../web/src/views/flame";
import { Notices, unknownNotices } from "../../web/src/views/notices";
import type { Flamegraph } from "../../web/generated/types";
import { offer } from "./harness";

// The page's own way, from the answer to the picture: table, path, legend, address, search box.
const store = new Store("");
const context: Context = {
  store,
  categories: [],
  problems: [],
  leftovers: [],
  operators: [],
  exports: {},
  range: { from: 0, to: 1 },
  sizes: null,
  refresh: () => undefined,
  recheck: () => undefined,
};
const measure = measureOf("us", "threads waiting", 3600);
const search = new SearchBox(context);
const notices = new Notices();
const view = new FlameView("benchmark", context, search);
store.changed = () => {
  search.update(true);
  view.update();
};
const place = document.querySelector("#place")!;
const around = h("div", view.path, search.element, view.tools, view.legend, notices.element);
place.append(around, view.element);
const canvas = view.element.querySelector("canvas")!;
/** Where to click: worked out while loading, as it is for the others. */
let middle = 0;

/** As the field does with each letter. */
function type(text: string): Promise<void> {
  store.set({ search: text }, "replace");
  return Promise.resolve();
}

/** Where the middle of the widest child of the root is, as a share of the width. */
function widest({ level, value }: Flamegraph): number {
  let [at, best, found] = [0, 0, 0];
  for (let i = 1; i < level.length; i++) {
    if (level[i] !== 1) continue;
    if (value[i]! > best) [best, found] = [value[i]!, at + value[i]! / 2];
    at += value[i]!;
  }
  return found / value[0]!;
}

offer({
  load(text) {
    const answer: Flamegraph = JSON.parse(text);
    middle = widest(answer);
    const source = sourceOf(context, measure, flameTree(answer));
    notices.say("stacks", unknownNotices(source.tree));
    view.setSource(source);
  },
  zoom() {
    const box = canvas.getBoundingClientRect();
    const clientX = box.left + middle * box.width;
    const at = { clientX, clientY: box.top + 27, bubbles: true };
    canvas.dispatchEvent(new MouseEvent("click", at));
  },
  /** All letters but the last: after a slow search the next one waits for a pause. */
  prepare: (text) => type(text.slice(0, -1)),
  search: (text) => type(text),
});
