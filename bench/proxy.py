"""Measures passing requests on to instances beside nginx and HAProxy: `proxy.py SERVE [--rounds N] [--seconds N] [--connections N]`.

SERVE is the example `serve` of crates/edge. The proxies run on core 0 alone, one at a time under load; the load and the two
instances, which are nginx with 1 KiB in memory and the same for all, on core 1. Ours writes its access log, counts and limits; the peers
write no log and limit nothing, but add the forwarded headers as a proxy of theirs would. Each round measures every proxy once, in alternating
order, ratios are of the same round, and medians are printed. A line `asked directly` shows what the instances themselves can do.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

import edge
from edge import HERE, LOAD_CORE, Server, cpu_seconds

INSTANCES = (18091, 18092)
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def fill(name, folder, **ports):
    """A configuration with its places filled in."""
    with open(f"{HERE}/{name}.in") as file:
        text = file.read().replace("@FOLDER@", folder).replace("@BODY@", "x" * 1024)
    for place, port in ports.items():
        text = text.replace(f"@{place}@", str(port))
    path = f"{folder}/{ports['PORT']}-{name}"
    with open(path, "w") as file:
        file.write(text)
    return path


def nginx(name, conf, folder, port):
    return Server(name, ["nginx", "-p", folder, "-c", conf, "-e", "stderr"], port)


def measure(server, connections, seconds):
    """Requests a second, microseconds of the proxy's processor for each, and milliseconds that 99 of 100 took at most."""
    argv = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
            "-H", "Host: program.localhost", f"http://127.0.0.1:{server.port}/"]
    before = cpu_seconds(server.process.pid)
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(server.process.pid) - before
    bad = re.search(r"(Non-2xx or 3xx responses|Socket errors): (.*)", out)
    if bad:
        print(f"  ! {server.name}: {bad.group(0)}")
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    return rate, used / requests * 1e6, float(value) * UNITS[unit]


def compare(servers, rounds, ask):
    figures = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            figures[server.name].append(ask(server))
            if server.log:
                os.truncate(server.log, 0)
    ours = figures[servers[0].name]
    for server in servers:
        theirs = figures[server.name]
        rate, cpu, p99 = (statistics.median(column) for column in zip(*theirs))
        ratio = [statistics.median(mine[at] / other[at] for mine, other in zip(ours, theirs)) for at in range(3)]
        spread = f"{min(c for _, c, _ in theirs):.1f}-{max(c for _, c, _ in theirs):.1f}"
        print(f"  {server.name:15} {rate:8.0f} req/s  {cpu:6.2f} us CPU/req ({spread})  p99 {p99:6.2f} ms"
              f"   ours / it: rate {ratio[0]:.2f}, CPU {ratio[1]:.2f}, p99 {ratio[2]:.2f}")
    sys.stdout.flush()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("serve")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--connections", type=int, default=64)
    options = arguments.parse_args()
    folder, servers = tempfile.mkdtemp(prefix="proxy-bench-"), []
    try:
        run(options, folder, servers)
    finally:
        for server in reversed(servers):
            server.stop()
        shutil.rmtree(folder)


def run(options, folder, servers):
    os.makedirs(f"{folder}/tmp")
    edge.SERVER_CORE = LOAD_CORE
    for port in INSTANCES:
        servers.append(nginx("asked directly", fill("instance.conf", folder, PORT=port), folder, port))
    edge.SERVER_CORE = "0"
    first, second = INSTANCES
    ours = Server("skylift", [options.serve, folder, "18080", "1", "1"], 18080, log=f"{folder}/access.log",
                  env={"INSTANCES": ",".join(f"127.0.0.1:{port}" for port in INSTANCES)})
    servers.append(ours)
    conf = fill("proxy-nginx.conf", folder, PORT=18081, FIRST=first, SECOND=second)
    servers.append(nginx("nginx", conf, folder, 18081))
    conf = fill("proxy-haproxy.cfg", folder, PORT=18082, FIRST=first, SECOND=second)
    servers.append(Server("haproxy", ["haproxy", "-db", "-f", conf], 18082))
    print(f"1 KiB from 2 instances, {options.connections} connections (load before {os.getloadavg()[0]:.1f})")
    ask = lambda server, seconds=options.seconds: measure(server, options.connections, seconds)
    rate, _, p99 = ask(servers[0], 2)
    print(f"  {'asked directly':15} {rate:8.0f} req/s, p99 {p99:.2f} ms: one instance, without a proxy")
    for server in servers[2:]:
        ask(server, 1)
    compare(servers[2:], options.rounds, ask)
    print(f"load after {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
