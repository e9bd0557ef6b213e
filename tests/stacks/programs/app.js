// Waits below serve, request, price and bySleep.
const cell = new Int32Array(new SharedArrayBuffer(4));

function bySleep() {
  Atomics.wait(cell, 0, 0, 4);
  return 1;
}

function price() {
  return bySleep() + 1;
}

function request() {
  return price() + 1;
}

function serve() {
  for (let sum = 0; ; ) sum += request();
}

console.log("ready");
setTimeout(serve, 10);
