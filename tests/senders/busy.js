// A busy program that @pyroscope/nodejs profiles: address, application, token.

const Pyroscope = require("@pyroscope/nodejs");

const [address, application, token] = process.argv.slice(2);

function burn(milliseconds) {
  const end = Date.now() + milliseconds;
  let count = 0;
  while (Date.now() < end) {
    for (let number = 0; number < 10000; number += 1) count += number % 7;
  }
  return count;
}

Pyroscope.init({
  serverAddress: address,
  appName: application,
  authToken: token,
  tags: { region: "eu", hostname: "busy-node" },
  flushIntervalMs: 1000,
  wall: { collectCpuTime: true, samplingDurationMs: 1000 },
});
Pyroscope.start();

let rounds = 0;
const timer = setInterval(() => {
  burn(150);
  rounds += 1;
  if (rounds === 15) {
    clearInterval(timer);
    Pyroscope.stop().then(() => process.exit(0));
  }
}, 10);
