import { FlameChart } from "flame-chart-js";
import { offer, WIDTH } from "./harness";

interface Node {
  name: string;
  start: number;
  duration: number;
  children: Node[];
}

let chart: FlameChart;
let widest: Node;

offer({
  load(text) {
    const canvas = document.createElement("canvas");
    canvas.width = WIDTH;
    canvas.height = 800;
    document.querySelector("#place")!.append(canvas);
    const data = JSON.parse(text) as Node[];
    widest = data[0]!.children.reduce((a, b) =>
      b.duration > a.duration ? b : a,
    );
    chart = new FlameChart({ canvas, data: data as never });
    chart.render();
  },
  zoom() {
    chart.setZoom(widest.start, widest.start + widest.duration);
    chart.render();
  },
});
