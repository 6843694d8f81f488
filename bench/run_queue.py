"""Measures the queue of runs: `run_queue.py SKYLIFT [--rounds N] [--seconds S] [--jobs N]`.

How many runs are taken in over HTTP, each durable before it is acknowledged (64 clients, sources of 200 bytes that all differ), while
what would run them is held up. By turns with it Redis Streams, which commits each `XADD` to disk before it answers (`appendfsync
always`), by 64 clients of `redis-benchmark`. Then how long a worker takes for so many queued micro-tasks, beside how many it does
for clients that ask all the while. Rows in a file of the platform's. Printed are medians and ratios.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from runs import Platform, asked_all_the_while

ENQUEUE_LUA = """
local thread = 0
function setup(t) t:set("id", thread); thread = thread + 1 end
local number = 0
function request()
  number = number + 1
  local source = string.format("# %012d.%d", number, id)
  source = source .. string.rep("x", 190 - #source) .. "\\\\nprint(42)"
  local body = '{"language":"python","mode":"async","ttl_s":60,"source":"' .. source .. '"}'
  return wrk.format("POST", "/v1/runs", {["x-api-key"] = KEY, ["Host"] = "localhost"}, body)
end
local wrong = 0
function response(status) if status ~= 202 then wrong = wrong + 1; if wrong < 3 then print("status " .. status) end end end
"""


class Api:
    def __init__(self, platform):
        self.platform = platform

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.platform.port)
        headers = {"host": "localhost", "x-api-key": self.platform.token}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def backlog(self):
        backlog = self.ask("GET", "/v1/workers")["backlog"]
        return backlog["visible"] + backlog["delayed"] + backlog["running"]

    def drained(self):
        while self.backlog():
            time.sleep(0.05)


def enqueued(platform, folder, seconds):
    script = f"{folder}/enqueue.lua"
    with open(script, "w", encoding="utf-8") as file:
        file.write(f'KEY = "{platform.token}"\n{ENQUEUE_LUA}')
    argv = ["wrk", "-t", "2", "-c", "64", "-d", f"{seconds}s", "-s", script, f"http://127.0.0.1:{platform.port}"]
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "status" in out:
        sys.exit(out)
    return float(re.search(r"Requests/sec:\s+([0-9.]+)", out).group(1))


class Redis:
    def __init__(self, folder):
        os.makedirs(f"{folder}/redis")
        self.socket = f"{folder}/redis/socket"
        argv = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", f"{folder}/redis", "--appendonly", "yes",
                "--appendfsync", "always", "--save", ""]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        while not os.path.exists(self.socket):
            time.sleep(0.01)

    def rate(self, count):
        argv = ["redis-benchmark", "-s", self.socket, "-c", "64", "-n", str(count), "-q", "XADD", "jobs", "*", "job", "x" * 500]
        out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return float(re.findall(r"([0-9.]+) requests per second", out)[-1])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def taken_in(program, folder, rounds, seconds):
    with open(f"{folder}/one.toml", "w", encoding="utf-8") as file:
        file.write("[runs]\nat_once = 1\n")
    redis = Redis(folder) if shutil.which("redis-server") else None
    ours, theirs = [], []
    for number in range(rounds):
        platform = Platform(program, f"{folder}/taken-{number}", f"{folder}/one.toml")
        try:
            # What would run them is held up.
            slow = {"language": "python", "source": "import time; time.sleep(60)", "mode": "async",
                    "limits": {"wall_ms": 60000}}
            Api(platform).ask("POST", "/v1/runs", slow)
            ours.append(enqueued(platform, folder, seconds))
        finally:
            platform.stop()
        if redis:
            theirs.append(redis.rate(int(seconds * 10000)))
    rate = statistics.median(ours)
    print(f"taken in over HTTP by 64 clients: {rate:.0f} runs/s (target 10000)", flush=True)
    if redis:
        redis.stop()
        other = statistics.median(theirs)
        print(f"XADD by 64 clients, appendfsync always: {other:.0f}/s; taken in over HTTP {rate / other:.2f} of it", flush=True)
    else:
        print("SKIPPED Redis: redis-server is not on this machine")


def drained(program, folder, rounds, seconds, jobs):
    platform = Platform(program, f"{folder}/drained")
    api = Api(platform)
    try:
        asked_all_the_while(platform, folder, 1)
        asked, queued = [], []
        for _ in range(rounds):
            asked.append(asked_all_the_while(platform, folder, seconds))
            began = time.perf_counter()
            for _ in range(jobs // 1000):
                api.ask("POST", "/v1/runs/batch", {"runs": [{"language": "python", "source": "print(42)", "ttl_s": 60}] * 1000})
            api.drained()
            queued.append(jobs / (time.perf_counter() - began))
        one, other = statistics.median(queued), statistics.median(asked)
        print(f"{jobs} queued micro-tasks on one worker: {one:.0f}/s from the first that is sent; "
              f"{one / other:.2f} of what it does for clients that ask, {other:.0f}/s (target 0.9)", flush=True)
    finally:
        platform.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skylift")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--jobs", type=int, default=10000)
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="skylift-bench-") as folder:
        taken_in(arguments.skylift, folder, arguments.rounds, int(arguments.seconds))
        drained(arguments.skylift, folder, arguments.rounds, int(arguments.seconds), arguments.jobs)


if __name__ == "__main__":
    main()
