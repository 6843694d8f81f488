// Tries whatever of Node might not have survived a fork; says `fine` and a number by chance.
const { execFileSync } = require('child_process');
const { readFile } = require('fs/promises');
const { Worker } = require('worker_threads');
const { setTimeout } = require('timers/promises');

const worker = () =>
  new Promise((done, failed) => {
    new Worker('require("worker_threads").parentPort.postMessage(41)', { eval: true }).on('message', done).on('error', failed);
  });

// Enough for its garbage to be collected, which Node's other threads take part in.
const hoard = () => {
  const all = [];
  for (let count = 0; count < 40; count++) all.push(Buffer.alloc(1 << 20, count));
  return all.length;
};

(async () => {
  const said = [
    await worker(),
    (await readFile(__filename)).length > 0,
    execFileSync('/bin/echo', ['here']).toString(),
    (await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))) instanceof WebAssembly.Module,
    await setTimeout(1, 'waited'),
    hoard(),
  ].join();
  console.log(said === '41,true,here\n,true,waited,40' ? 'fine' : said, Math.random());
})();
