"""Measures what instances cost in time: `instances.py SKYLIFT [--rounds N]`.

One platform, one small server in Node. In turns: the bare server, from its start to its first answer; an app that sleeps,
from a request to its answer; a redeploy of the running app, from the start of `skylift deploy` to the first answer
after which no other was older. Then the load grows tenfold at once: from there to the decision for more instances, as
`skylift scale APP --explain` tells it. Printed: medians, and the first of each pair less the bare server's.
"""

import argparse
import datetime
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SERVER = """
const http = require('http');
const busy = milliseconds => { const until = performance.now() + milliseconds; while (performance.now() < until); };
http.createServer((request, response) => {
    if (request.url === '/work') busy(5);
    response.end('VERSION');
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, host="localhost", path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"host": host})
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return None, ""
    finally:
        connection.close()


def bare(folder):
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen(["node", "server.js"], cwd=folder, env={**os.environ, "PORT": str(port)})
    while ask(port)[0] is None:
        time.sleep(0.001)
    took = time.monotonic() - began
    process.terminate()
    process.wait()
    return took


class Platform:
    def __init__(self, program, folder):
        self.program, self.data, self.port = program, os.path.join(folder, "data"), free_port()
        argv = [program, "up", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if not self.process.stdout.readline().startswith("ready"):
            sys.exit("the platform did not start")

    def cli(self, *words):
        argv = [self.program, *words, "--data", self.data, "--json"]
        ran = subprocess.run(argv, capture_output=True, text=True)
        if ran.returncode != 0:
            sys.exit(f"{words}: {ran.stderr}")
        return json.loads(ran.stdout)

    def alive(self, app):
        return [one for one in self.cli("ps", app)["instances"] if one["state"] != "ended"]

    def until(self, what, is_so):
        deadline = time.monotonic() + 120
        while not is_so():
            if time.monotonic() > deadline:
                sys.exit(f"not in time: {what}")
            time.sleep(0.1)


def wake(platform):
    platform.until("asleep", lambda: not platform.alive("bench"))
    began = time.monotonic()
    status, _ = ask(platform.port, "bench.localhost")
    took = time.monotonic() - began
    if status != 200:
        sys.exit(f"the app that slept answered {status}")
    return took


def redeploy(platform, folder, version):
    write(folder, version)
    began = time.monotonic()
    process = subprocess.Popen([platform.program, "deploy", folder, "--app", "bench", "--data", platform.data],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last_old = began
    while process.poll() is None:
        asked = time.monotonic()
        if ask(platform.port, "bench.localhost")[1] != version:
            last_old = asked
    if process.returncode != 0 or ask(platform.port, "bench.localhost")[1] != version:
        sys.exit("the redeploy failed")
    return last_old - began


def step(platform, threads):
    """Load on `threads` connections; seconds from its begin to the first decision for more."""
    steps = len(platform.cli("scale", "bench", "--explain")["steps"])
    stop = threading.Event()

    def drive():
        while not stop.is_set():
            ask(platform.port, "bench.localhost", "/work")

    drivers = [threading.Thread(target=drive, daemon=True) for _ in range(threads)]
    began = datetime.datetime.now(datetime.timezone.utc)
    for driver in drivers:
        driver.start()
    platform.until("more are wanted", lambda: len(platform.cli("scale", "bench", "--explain")["steps"]) > steps)
    stop.set()
    first = platform.cli("scale", "bench", "--explain")["steps"][-steps - 1]
    at = datetime.datetime.fromisoformat(first["at"].replace("Z", "+00:00"))
    return (at - began).total_seconds(), first["reason"]


def write(folder, version):
    with open(os.path.join(folder, "server.js"), "w") as file:
        file.write(SERVER.replace("VERSION", version))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("skylift")
    arguments.add_argument("--rounds", type=int, default=11)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = os.path.join(home, "app")
        os.mkdir(folder)
        with open(os.path.join(folder, "package.json"), "w") as file:
            json.dump({"name": "bench", "scripts": {"start": "node server.js"}}, file)
        write(folder, "v0")
        platform = Platform(os.path.abspath(arguments.skylift), home)
        try:
            platform.cli("deploy", folder, "--app", "bench")
            boots, wakes, redeploys = [], [], []
            for number in range(arguments.rounds):
                platform.cli("scale", "bench", "--min", "0", "--idle", "1", "--in-flight", "1000")
                boots.append(bare(folder))
                wakes.append(wake(platform))
                platform.cli("scale", "bench", "--min", "1", "--max", "1", "--idle", "90")
                platform.until("awake", lambda: len(platform.alive("bench")) == 1)
                redeploys.append(redeploy(platform, folder, f"v{number + 1}"))
            median = statistics.median
            more = [wake - boot for boot, wake in zip(boots, wakes)]
            print(f"the bare server's start to its first answer: {median(boots) * 1e3:.0f} ms")
            print(f"a request to an app that sleeps: {median(wakes) * 1e3:.0f} ms, {median(more) * 1e3:.0f} ms more (target 20)")
            more = [took - boot for boot, took in zip(boots, redeploys)]
            print(f"redeploy of a running app to all traffic: {median(redeploys) * 1e3:.0f} ms, "
                  f"{median(more) * 1e3:.0f} ms more (target 300)")
            platform.cli("scale", "bench", "--min", "1", "--max", "10", "--in-flight", "2", "--hold", "2")
            decided = []
            for _ in range(5):
                platform.until("one instance", lambda: len(platform.alive("bench")) == 1)
                quiet = time.monotonic() + 5
                while time.monotonic() < quiet:
                    ask(platform.port, "bench.localhost", "/work")
                    time.sleep(0.1)
                took, reason = step(platform, 20)
                decided.append(took)
                platform.cli("scale", "bench", "1")
            print(f"tenfold load to the decision: median {median(decided):.2f} s, worst {max(decided):.2f} s (target p95 2): {reason}")
        finally:
            platform.process.terminate()
            platform.process.wait()


if __name__ == "__main__":
    main()
