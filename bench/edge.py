"""Measures the edge beside nginx (and Caddy, where it is installed): `edge.py SERVE [--rounds N] [--only NAME] [--many]`.

SERVE is the example `serve` of crates/edge. Servers run on core 0 alone, load on core 1; each round measures every server
once, in alternating order. The main figure is the server's own CPU time per request (utime + stime of
/proc/PID/stat), which other work on the machine disturbs least; ratios are of the same round, and medians are printed.
"""

import argparse
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = "0", "1"
SECONDS = 4


def cpu_seconds(pid):
    """utime and stime of all threads."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M).group(1)) * 1024


class Server:
    def __init__(self, name, argv, port, h2_port=None, env=None, log=None):
        self.name, self.port, self.h2_port = name, port, h2_port or port
        out = open(log, "ab") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=out, env={**os.environ, **(env or {})})
        self.log = log
        deadline = time.monotonic() + 600
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit(f"{name} did not start")
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def wrk(server, path, connections, script=None, seconds=None, env=None, app="app-0"):
    url = f"http://127.0.0.1:{server.port}{path}"
    argv = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds or SECONDS}s", "-H", f"Host: {app}.localhost"]
    argv += ["-s", script] if script else []
    before = cpu_seconds(server.process.pid)
    out = subprocess.run([*argv, url], capture_output=True, text=True, check=True, env={**os.environ, **(env or {})}).stdout
    used = cpu_seconds(server.process.pid) - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: (.*)", out)
    if bad or errors:
        print(f"  ! {server.name} {path}: {bad and bad.group(0)} {errors and errors.group(0)}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    return rate, used / requests * 1e6


def h2load(server, path, connections, streams):
    url = f"http://app-0.localhost:{server.h2_port}{path}"
    argv = ["taskset", "-c", LOAD_CORE, "h2load", "-t1", f"-c{connections}", f"-m{streams}", "-D", str(SECONDS),
            f"--connect-to=127.0.0.1:{server.h2_port}", url]
    before = cpu_seconds(server.process.pid)
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(server.process.pid) - before
    rate = float(re.search(r"([\d.]+) req/s", out).group(1))
    counts = re.search(r"requests: (\d+) total.*?(\d+) succeeded, (\d+) failed", out)
    if int(counts.group(3)):
        print(f"  ! {server.name} h2: {counts.group(0)}")
    return rate, used / max(int(counts.group(2)), 1) * 1e6


def compare(title, servers, measure, rounds):
    figures = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            figures[server.name].append(measure(server))
            if server.log:
                os.truncate(server.log, 0)
    ours = figures[servers[0].name]
    print(f"{title}   (load {os.getloadavg()[0]:.1f})")
    for server in servers:
        theirs = figures[server.name]
        rate, cpu = (statistics.median(column) for column in zip(*theirs))
        cpu_ratio = statistics.median(mine[1] / other[1] for mine, other in zip(ours, theirs))
        rate_ratio = statistics.median(mine[0] / other[0] for mine, other in zip(ours, theirs))
        spread = f"{min(c for _, c in theirs):.2f}-{max(c for _, c in theirs):.2f}"
        print(f"  {server.name:10} {rate:10.0f} req/s  {cpu:9.2f} us CPU/req ({spread})"
              f"   ours / it: rate {rate_ratio:.2f}, CPU {cpu_ratio:.2f}")
    sys.stdout.flush()


def idle(server, count):
    """Bytes of the server's own memory for each of so many connections that asked once and then idle."""
    request = b"GET /k1.bin HTTP/1.1\r\nHost: app-0.localhost\r\n\r\n"
    before = rss_bytes(server.process.pid)
    connections = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.sendall(request)
        connections.append(connection)
        received = b""
        while len(received) < 1024 or b"x" * 1000 not in received:
            received += connection.recv(65536)
    time.sleep(1)
    after = rss_bytes(server.process.pid)
    for connection in connections:
        connection.close()
    print(f"{count} idle connections: {server.name} {(after - before) / count:.0f} bytes each")
    sys.stdout.flush()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("serve")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--seconds", type=int, default=4)
    arguments.add_argument("--many", action="store_true", help="also 10,000 apps with 100 files each")
    arguments.add_argument("--folder")
    options = arguments.parse_args()
    globals()["SECONDS"] = options.seconds
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = options.folder or tempfile.mkdtemp(prefix="edge-bench-")
    servers = []
    try:
        run(options, folder, servers)
    finally:
        for server in servers:
            server.stop()
        if not options.folder:
            shutil.rmtree(folder)


def run(options, folder, servers):
    os.makedirs(f"{folder}/tmp", exist_ok=True)
    ours = Server("skylift", [options.serve, folder, "18080", "1", "100"], 18080, log=f"{folder}/access.log")
    servers.append(ours)
    with open(f"{HERE}/nginx.conf.in") as file:
        conf = file.read().replace("@FOLDER@", folder).replace("@PORT@", "18081").replace("@PORT2@", "18082")
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(conf)
    servers.append(Server("nginx", ["nginx", "-p", folder, "-c", f"{folder}/nginx.conf", "-e", "stderr"], 18081, 18082))
    pair = list(servers)
    wanted = lambda name: options.only in ("", name)
    rounds = options.rounds
    if wanted("k1"):
        compare("1 KiB, 64 connections", pair, lambda s: wrk(s, "/k1.bin", 64), rounds)
    if wanted("ruled"):
        compare("1 KiB of a site with rules, 64 connections", pair, lambda s: wrk(s, "/k1.bin", 64, app="ruled"), rounds)
    if wanted("k100"):
        compare("100 KiB, 64 connections", pair, lambda s: wrk(s, "/k100.bin", 64), rounds)
    if wanted("m10"):
        compare("10 MiB, 16 connections", pair, lambda s: wrk(s, "/m10.bin", 16), rounds)
    if wanted("h2"):
        compare("HTTP/2, 1 KiB, 64 connections x 16 streams", pair, lambda s: h2load(s, "/k1.bin", 64, 16), rounds)
    if wanted("caddy") and shutil.which("caddy"):
        with open(f"{folder}/Caddyfile", "w") as file:
            file.write("{\n admin off\n auto_https off\n persist_config off\n}\n:18083 {\n bind 127.0.0.1\n"
                       f" root * {folder}/www/app-0\n file_server\n}}\n")
        caddy = Server("caddy", ["caddy", "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"], 18083,
                       env={"GOMAXPROCS": "1", "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder})
        servers.append(caddy)
        compare("1 KiB beside Caddy", [ours, caddy], lambda s: wrk(s, "/k1.bin", 64), max(rounds // 2, 1))
    if wanted("idle"):
        for server in pair:
            idle(server, 9_500)
    if options.many and wanted("many"):
        many(folder, ours, rounds, servers)


def many(folder, one, rounds, servers):
    all_apps = Server("10,000 apps", [one.process.args[3], f"{folder}/many", "18084", "10000", "100"], 18084,
                      log=f"{folder}/many.log", env={"CACHE_BYTES": str(2 << 30)})
    servers.append(all_apps)
    script = f"{HERE}/zipf.lua"
    # The same client for both: how fast it asks changes what a request costs the server.
    ask = lambda server, seconds=None: wrk(server, "/", 64, script, seconds, {"APPS": "10000" if server is all_apps else "1"})
    ask(all_apps, 60)
    compare("10,000 apps, 1,000,000 paths, Zipf, beside one app", [all_apps, one], ask, rounds)


if __name__ == "__main__":
    main()
