// Two threads that wake each other, each below a few calls.
// usage: pair.js PAUSE, the milliseconds between two of them.
const pause = Number(process.argv[2]);
const { Worker, isMainThread, workerData } = require("node:worker_threads");

function take(cells, own) {
  while (Atomics.exchange(cells, own, 0) === 0) Atomics.wait(cells, own, 0, 1000);
}

function answer(cells, own) {
  take(cells, own);
  Atomics.store(cells, 1 - own, 1);
  Atomics.notify(cells, 1 - own);
}

function serve(cells, own) {
  for (;;) {
    answer(cells, own);
    if (pause) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause);
  }
}

if (isMainThread) {
  const cells = new Int32Array(new SharedArrayBuffer(8));
  cells[0] = 1;
  new Worker(__filename, { workerData: cells }).once("online", () => {
    console.log("ready");
    setTimeout(() => serve(cells, 0), 10);
  });
} else {
  serve(workerData, 1);
}
