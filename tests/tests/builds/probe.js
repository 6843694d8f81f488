// What a hostile package tries: to find secrets, and to reach what is not public. Every success is a line of the
// report. Run in a build it must report nothing; run on the host itself it reports what there is to be had.
const fs = require('fs');
const net = require('net');
const path = require('path');

const { secrets, files, targets, report } = JSON.parse(fs.readFileSync(path.join(__dirname, 'probe.json'), 'utf8'));
const found = [];
const read = (file) => { try { return fs.readFileSync(file, 'latin1'); } catch { return ''; } };

function look(where, text) {
  for (const [name, secret] of Object.entries(secrets)) if (text.includes(secret)) found.push(`${name} in ${where}`);
}

look('own environment', JSON.stringify(process.env));
for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
  for (const file of ['environ', 'cmdline']) look(file, read(`/proc/${pid}/${file}`));
}
for (const file of files) look(path.basename(file), read(file));
for (const home of ['/root', process.env.HOME || '/']) {
  for (const file of ['.ssh/id_rsa', '.ssh/id_ed25519', '.npmrc', '.docker/config.json']) look(file, read(`${home}/${file}`));
}

// One connection: direct, or through the proxy that the build is told of. An answer counts, not that the connection was
// taken: what stands between a build and the network takes it first, and resets it once it knows where it was to go.
function attempt(name, options, hello) {
  return new Promise((resolve) => {
    const socket = net.connect(options);
    const end = () => { socket.destroy(); resolve(); };
    socket.setTimeout(3000, end);
    socket.on('error', end);
    socket.on('close', end);
    socket.on('connect', () => socket.write(hello || 'GET / HTTP/1.0\r\n\r\n'));
    socket.on('data', (data) => {
      if (!hello) found.push(`reached ${name}`);
      else if (/^HTTP\/1\.. 2/.test(data)) found.push(`reached ${name} by proxy`);
      end();
    });
  });
}

async function main() {
  const attempts = [];
  for (const [name, { host, port }] of Object.entries(targets)) {
    attempts.push(attempt(name, { host, port }));
    const proxy = /:\/\/([^:/]+):(\d+)/.exec(process.env.https_proxy || process.env.HTTPS_PROXY || '');
    if (!proxy) continue;
    const at = { host: proxy[1], port: Number(proxy[2]) };
    const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    attempts.push(attempt(name, at, `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`));
    attempts.push(attempt(name, at, `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`));
  }
  for (const socket of ['/var/run/docker.sock', '/run/docker.sock']) attempts.push(attempt('docker', { path: socket }));
  await Promise.all(attempts);
  fs.writeFileSync(path.resolve(__dirname, report), [...new Set(found)].sort().join('\n') || 'nothing');
}

main();
