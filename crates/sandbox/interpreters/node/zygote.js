'use strict';
// Becomes any number of Node programs, each in a sandbox of its own.
//
// Started as a program, with the socket to the host as its standard output. The first message names modules to load. What happens then
// is in the addon beside this file: it waits, and forks into sandboxes. Nothing here reads what a user has written, but in the fork.

const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const path = require('path');
const v8 = require('v8');
const Module = require('module');

const addon = { exports: {} };
process.dlopen(addon, path.join(__dirname, 'zygote.node'));
const { begin, pipe, ready, fork, order, processNumber, endQuickly } = addon.exports;

const preload = begin().split(' ');
for (const name of Object.keys(process.env)) delete process.env[name];
for (const name of preload) load(name);
rehearse();

// When nothing is left to do of what the rehearsal has begun: nothing of it is to go on in a fork.
process.once('beforeExit', () => {
  leaveNoTrace();
  endQuickly(process);
  // Garbage is not collected: that has V8 forget what it has compiled, and each fork compile it again. Once more round, where Node waits for
  // what its other threads still have to do: what is left to them is never done in a fork.
  setImmediate(() => process.once('beforeExit', zygote));
});

function load(name) {
  try {
    require(name);
  } catch {
    // Older than that module.
  }
}

// What nearly every program does for its first time takes longest, so it is done here. Not with the standard streams, which are made when
// they are first used, and of what is there then.
function rehearse() {
  const [input, output] = pipe();
  const writer = new net.Socket({ fd: output, readable: false, writable: true });
  const reader = new net.Socket({ fd: input, readable: true, writable: false });
  reader.on('data', String).on('end', () => reader.destroy());
  const said = new console.Console(writer, writer);
  for (let round = 0; round < 3; round++) {
    said.log(42);
    said.log('%s', 'text', [1, 'two'], { three: new Map([[4, 5n]]) });
    said.error(new Error('rehearsed'));
    fs.existsSync(__filename);
    fs.readFileSync(__filename, 'utf8');
  }
  // Its state is another in each fork, which the library knows by the number of the process.
  crypto.randomBytes(4);
  writer.end();
}

function zygote() {
  ready();
  const number = fork();
  // --- From here on it is a fork. ---
  Object.defineProperty(process, 'pid', { value: processNumber() });
  chance(number);
  become(order());
}

// What a program would see of this one.
function leaveNoTrace() {
  process.execArgv.length = 0;
  delete require.cache[__filename];
  Module._pathCache = Object.create(null);
  module.children.length = 0;
}

// Forks have the same state of what numbers are drawn from by chance, unless it is made different. That of `Math.random` in this context has not
// been drawn from yet, and begins with the flag where there is one; those of other contexts begin with what the engine draws from a
// state that goes on with each object that is hashed.
function chance(number) {
  const hashed = new WeakSet();
  for (let count = 0; count < number; count++) hashed.add({});
  v8.setFlagsFromString(`--random-seed=${crypto.randomBytes(4).readUInt32LE() >>> 1 || 1}`);
  Math.random();
  v8.setFlagsFromString('--random-seed=0');
}

function become([folder, count, ...fields]) {
  const [file, ...words] = fields.slice(0, Number(count));
  for (const variable of fields.slice(Number(count))) {
    const end = variable.indexOf('=');
    process.env[variable.slice(0, end)] = variable.slice(end + 1);
  }
  process.chdir(folder);
  process.argv.splice(1, Infinity, path.resolve(file), ...words);
  Module._initPaths();
  // Bound, so that there is nothing of ours in a trace of calls.
  setImmediate(Module.runMain.bind(Module), process.argv[1]);
}
