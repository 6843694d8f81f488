//! Programs of Node, and what they read; each is run by whatever waits with Node in it, and by Node alone. Used by the tests of runs as well.

/// Programs, and what they read; each is run by a zygote and by Node alone.
pub(crate) const PROGRAMS: &[(&str, &str)] = &[
    ("console.log(40 + 2)", ""),
    ("", ""),
    ("process.exit(3)", ""),
    ("process.exitCode = 4", ""),
    ("process.exitCode = 4; process.exit()", ""),
    ("process.on('exit', code => { console.log('exit', code); process.exitCode = 9 })", ""),
    ("process.on('exit', () => { throw new Error('late') }); console.log('early')", ""),
    (
        "process.on('beforeExit', code => { console.log('before', code); if (!globalThis.once) { globalThis.once = 1; setTimeout(() => console.log('more'), 1) } })",
        "",
    ),
    ("process.emit('exit', 5); console.log('goes on', process.emit('nobody'), process.listenerCount('exit'))", ""),
    ("process.exitCode = 2; process.on('exit', () => process.exit(6))", ""),
    ("function f() { throw new TypeError('no') }\nf()", ""),
    ("throw { not: 'an error' }", ""),
    ("setTimeout(() => { throw new Error('later') }, 1)", ""),
    ("Promise.reject(new Error('nobody cares'))", ""),
    ("Promise.reject(3)", ""),
    ("process.on('unhandledRejection', why => console.log('seen', why)); Promise.reject(3)", ""),
    (
        "process.on('uncaughtException', error => console.log('caught', error.message)); setTimeout(() => console.log('on'), 1); throw new Error('x')",
        "",
    ),
    ("const x = ;", ""),
    ("undefined_name", ""),
    ("process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 10000)", ""),
    (
        "process.on('SIGUSR2', () => { console.log('signal'); clearInterval(t) }); const t = setInterval(() => {}, 1000); process.kill(process.pid, 'SIGUSR2')",
        "",
    ),
    ("process.abort()", ""),
    ("process.stdout.write('no end of line'); process.stderr.write('other')", ""),
    (
        "console.error('%s %d %j %o', 'a', 1, { b: 2 }, [3]); console.table([{ a: 1 }]); console.log(new Map([[1, { a: [1, { b: {} }] }]]), new Date(0), /x/g, Symbol('s'), 5n)",
        "",
    ),
    ("process.stdout.write('x'.repeat(300000), () => console.error('written')); ", ""),
    (
        "console.log('a'); process.nextTick(() => console.log('tick')); Promise.resolve().then(() => console.log('micro')); setTimeout(() => console.log('timer'), 0); queueMicrotask(() => console.log('queued')); console.log('b')",
        "",
    ),
    ("const t = Date.now(); setTimeout(() => console.log(Date.now() - t >= 49, Date.now() - t < 5000), 50)", ""),
    (
        "let n = 0; const t = setInterval(() => { if (++n === 3) { clearInterval(t); console.log('thrice') } }, 1); setImmediate(() => console.log('now'))",
        "",
    ),
    (
        "const fs = require('fs'); fs.writeFileSync('left', 'kept'); fs.promises.readFile('left', 'utf8').then(text => { console.log(text); fs.mkdirSync('a/b', { recursive: true }); console.log(fs.readdirSync('.').sort(), fs.statSync('left').size); fs.rmSync('a', { recursive: true }) })",
        "",
    ),
    ("require('fs').createReadStream('helper.js').pipe(process.stdout)", ""),
    ("require('fs').writeSync(1, 'y'.repeat(200000)); require('fs').writeFileSync('/dev/stderr', 'z')", ""),
    (
        "console.log(require('child_process').execFileSync('/bin/cat', { input: 'through' }).toString(), require('child_process').spawnSync('/bin/sh', ['-c', 'echo $GIVEN; exit 3']).status)",
        "",
    ),
    (
        "const c = require('child_process').spawn('/bin/sh', ['-c', 'cat; echo $GIVEN >&2; exit 5'], { stdio: ['pipe', 'inherit', 'inherit'] }); c.stdin.end('fed'); c.on('exit', (code, signal) => console.log(code, signal))",
        "",
    ),
    (
        "const c = require('child_process').fork('./child.js', ['x']); c.on('message', m => { console.log(m); c.disconnect() })",
        "",
    ),
    (
        "const c = require('child_process').spawnSync(process.execPath, ['-p', '6 * 7']); console.log(String(c.stdout), c.status)",
        "",
    ),
    (
        "const { Worker } = require('worker_threads'); const w = new Worker('const { parentPort } = require(\"worker_threads\"); parentPort.on(\"message\", m => { parentPort.postMessage(m + 1); parentPort.close() })', { eval: true }); w.on('message', m => console.log('out', m)); w.on('exit', c => console.log('exit', c)); w.postMessage(41)",
        "",
    ),
    (
        "const { Worker } = require('worker_threads'); new Worker('throw new Error(\"in it\")', { eval: true }).on('error', e => console.log(e.message)).on('exit', c => console.log(c))",
        "",
    ),
    (
        "const { Worker } = require('worker_threads'); const shared = new Int32Array(new SharedArrayBuffer(4)); new Worker('const { workerData } = require(\"worker_threads\"); Atomics.store(workerData, 0, 7); Atomics.notify(workerData, 0)', { eval: true, workerData: shared }); Atomics.wait(shared, 0, 0, 10000); console.log(shared[0])",
        "",
    ),
    (
        "const { Worker } = require('worker_threads'); new Worker('setInterval(() => {}, 1000)', { eval: true }).on('online', () => { console.log('online'); process.exit(8) })",
        "",
    ),
    (
        "const code = new Uint8Array([0,97,115,109,1,0,0,0,1,7,1,96,2,127,127,1,127,3,2,1,0,7,7,1,3,97,100,100,0,0,10,9,1,7,0,32,0,32,1,106,11]); WebAssembly.instantiate(code).then(({ instance }) => console.log(instance.exports.add(40, 2))); console.log(new WebAssembly.Instance(new WebAssembly.Module(code)).exports.add(1, 2))",
        "",
    ),
    (
        "const net = require('net'); const s = net.createServer(c => { c.write('hello '); c.pipe(c) }); s.listen(0, '127.0.0.1', () => { const c = net.connect(s.address().port, '127.0.0.1'); c.end('you'); let all = ''; c.on('data', d => all += d).on('end', () => { console.log(all); s.close() }) })",
        "",
    ),
    (
        "const http = require('http'); const s = http.createServer((q, r) => r.end(q.url)).listen(0, '127.0.0.1', () => http.get({ port: s.address().port, host: '127.0.0.1', path: '/x', agent: false }, r => r.on('data', d => console.log(String(d))).on('end', () => s.close())))",
        "",
    ),
    (
        "const zlib = require('zlib'); console.log(zlib.gunzipSync(zlib.gzipSync('packed')).toString()); zlib.brotliCompress('abc', (e, b) => zlib.brotliDecompress(b, (e, b) => console.log(String(b))))",
        "",
    ),
    (
        "const crypto = require('crypto'); console.log(crypto.createHash('sha256').update('x').digest('hex')); crypto.pbkdf2('a', 'b', 1000, 8, 'sha256', (e, k) => { console.log(k.toString('hex')); crypto.subtle.digest('SHA-1', Buffer.from('x')).then(d => console.log(Buffer.from(d).toString('hex'))) })",
        "",
    ),
    (
        "const { generateKeyPairSync, sign, verify } = require('crypto'); const { privateKey, publicKey } = generateKeyPairSync('ed25519'); console.log(verify(null, Buffer.from('x'), publicKey, sign(null, Buffer.from('x'), privateKey)))",
        "",
    ),
    (
        "const helper = require('./helper'); console.log(helper.VALUE, require('./helper.js') === helper, require.resolve('./helper'), module.children.length, require.main === module, module.parent, module.id, module.paths[0], module.filename)",
        "",
    ),
    ("try { require('missing') } catch (error) { console.log(error.code, error.message) }", ""),
    ("require('./missing')", ""),
    (
        "import('./helper.mjs').then(m => { console.log(m.VALUE, m.default.VALUE); return import('node:path') }).then(m => console.log(typeof m.join))",
        "",
    ),
    (
        "console.log(Object.keys(require.cache), __filename, __dirname, process.argv, process.argv0, process.execPath, process.execArgv, process.title, process.cwd(), process.mainModule === module)",
        "",
    ),
    (
        "console.log(Object.entries(process.env).sort(), process.umask(), process.pid > 0, process.stdin.isTTY, process.stdout.isTTY, process.stdout.writable, process.stdout.constructor.name)",
        "",
    ),
    (
        "process.env.TZ = 'Asia/Tokyo'; console.log(new Date(0).getHours(), Intl.DateTimeFormat().resolvedOptions().locale, [3, 20, 1].sort(), (1234.5).toLocaleString(), 'é'.normalize('NFD').length)",
        "",
    ),
    (
        "console.log(process.eventNames(), Object.getOwnPropertyNames(globalThis).sort().join(), Object.keys(process).sort().join(), typeof gc)",
        "",
    ),
    ("let d = ''; process.stdin.on('data', x => d += x).on('end', () => console.log(d.toUpperCase()))", "a\nb\nc"),
    ("console.log(require('fs').readFileSync(0, 'utf8').split('\\n'))", "one\ntwo\n"),
    (
        "const r = require('readline').createInterface({ input: process.stdin }); r.on('line', l => console.log('[' + l + ']')).on('close', () => console.log('closed'))",
        "x\ny",
    ),
    (
        "(async () => { for await (const line of require('readline').createInterface({ input: process.stdin })) console.log(line.length) })()",
        "four\nfives\n",
    ),
    ("console.log(process.stdin.read(), process.stdin.fd); process.stdin.resume()", ""),
    (
        "class A { #p = 1; static s = 2; get p() { return this.#p } }\nconsole.log(new A(), new A().p, A.s); debugger; label: for (;;) break label",
        "",
    ),
    (
        "function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) }\nconsole.log(f(27)); let a = []; for (let i = 0; i < 3e5; i++) a.push({ i, s: 'x' + i }); console.log(new Map(a.map(x => [x.s, x])).size)",
        "",
    ),
    ("function f() { f() }\nf()", ""),
    (
        "const r = new FinalizationRegistry(() => {}); r.register({}, 1); console.log(new WeakRef({}).deref() !== undefined, structuredClone(new Map([[1, 2]])), new Intl.NumberFormat('de').format(1.5))",
        "",
    ),
    (
        "const { AsyncLocalStorage } = require('async_hooks'); const s = new AsyncLocalStorage(); s.run(1, () => setTimeout(() => console.log(s.getStore()), 1)); console.log(s.getStore())",
        "",
    ),
    (
        "console.log(require('os').EOL.length, require('util').inspect('x'), require('vm').runInNewContext('1 + a', { a: 2 }), eval('1 + 1'), new Function('return this === globalThis')())",
        "",
    ),
    (
        "const v = require('v8'); console.log(v.getHeapStatistics().heap_size_limit > 1e8, process.memoryUsage().rss > 1e6, v.deserialize(v.serialize({ a: 1 })))",
        "",
    ),
    (
        "const ac = new AbortController(); require('timers/promises').setTimeout(10000, null, { signal: ac.signal }).catch(e => console.log(e.name)); ac.abort(); console.log(typeof fetch, typeof Headers, typeof ReadableStream)",
        "",
    ),
    ("process.emitWarning('careful'); new Buffer(1)", ""),
    ("process.chdir('/tmp'); console.log(process.cwd(), require('path').resolve('x'))", ""),
    ("require('dns').lookup('127.0.0.1', (e, a) => console.log(e ? e.code : a))", ""),
    ("new Promise(() => {}); console.log('hangs not')", ""),
    ("process.stdout.end(); ", ""),
    (
        "process.stdout.on('error', e => console.error(e.code)); process.stdout.destroy(); console.log('into nothing')",
        "",
    ),
    ("console.log(new Error('trace').stack.split('\\n').slice(0, 3).join('|'))", ""),
    ("require('fs').closeSync(1); try { console.log('x') } catch (e) { require('fs').writeSync(2, e.code) }", ""),
];

/// The same, as modules.
pub(crate) const MODULES: &[(&str, &str)] = &[
    (
        "import fs from 'node:fs'; import { VALUE } from './helper.mjs'; console.log(VALUE, typeof fs.readFileSync, import.meta.url, process.argv.length)",
        "",
    ),
    ("const late = await new Promise(done => setTimeout(done, 5, 'late')); console.log(late)", ""),
    ("await new Promise(() => {})", ""),
    ("throw new Error('of a module')", ""),
    ("import './missing.mjs'", ""),
    (
        "import { createRequire } from 'module'; console.log(createRequire(import.meta.url)('./helper.js').VALUE, typeof require, this); export default 1",
        "",
    ),
    ("for await (const chunk of process.stdin) console.log(String(chunk))", "piped"),
    ("process.exit(6)", ""),
];

/// What lies beside each.
pub(crate) const BESIDE: [(&str, &str); 3] = [
    ("helper.js", "exports.VALUE = 'helps'\n"),
    ("helper.mjs", "import common from './helper.js'; export default common; export const VALUE = 'imported'\n"),
    (
        "child.js",
        "process.send({ argv: process.argv.slice(2), given: process.env.GIVEN, execArgv: process.execArgv })\n",
    ),
];
