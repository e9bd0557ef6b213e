import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";
import { offer, WIDTH } from "./harness";

interface Node {
  name: string;
  value: number;
  children?: Node[];
}

const chart = flamegraph().width(WIDTH).cellHeight(18).transitionDuration(0);

offer({
  load(text) {
    select("#place")
      .datum(JSON.parse(text) as Node)
      .call(chart);
  },
  zoom() {
    const root = select("#place svg").datum() as {
      children: { value: number }[];
    };
    chart.zoomTo(
      root.children.reduce((a, b) => (b.value > a.value ? b : a)) as never,
    );
  },
  search(text) {
    chart.search(text);
  },
});
