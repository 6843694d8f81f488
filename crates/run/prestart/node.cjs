'use strict';
// Waits until it is told which program to be, and becomes it, as if it had been started then.

const fs = require('fs');
const path = require('path');
const Module = require('module');

fs.unlinkSync(__filename);
rehearse();
// Heard by the host, which has put nothing of anybody's here yet.
fs.writeSync(1, '\0');
become(JSON.parse(read(read(4).readUInt32LE()).toString()));

// What nearly every program does for its first time takes longest, so it is done here; not with the standard streams.
function rehearse() {
  require('net');
  require('tty');
  const { Writable } = require('stream');
  const nowhere = new Writable({ write: (_bytes, _encoding, done) => done() });
  const said = new console.Console(nowhere, nowhere);
  for (let round = 0; round < 3; round++) {
    said.log(42);
    said.log('%s', 'text', [1, 'two'], { three: new Map([[4, 5n]]) });
    said.error(new Error('rehearsed'));
  }
}

function read(count) {
  const bytes = Buffer.alloc(count);
  for (let at = 0; at < count; ) {
    const more = fs.readSync(0, bytes, at, count - at);
    if (more === 0) process.reallyExit(127); // The host has gone, or wants nothing.
    at += more;
  }
  return bytes;
}

function become([folder, [file, ...words], variables]) {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, variables);
  process.chdir(folder);
  process.argv.splice(1, Infinity, path.resolve(file), ...words);
  delete require.cache[__filename];
  Module._pathCache = Object.create(null);
  module.children.length = 0;
  Module._initPaths();
  // Bound, so that there is nothing of ours in a trace of calls.
  setImmediate(Module.runMain.bind(Module), process.argv[1]);
}
