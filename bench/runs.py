"""Measures runs beside the bare programs: `runs.py SKYLIFT [--rounds N] [--runs N] [--language NAME…]`.

Starts a platform on a folder of its own. Each round does the same by turns: a hello-world sent to `POST /run` by one client over
one connection, and the bare program in its own process; of C++, a program that is new and the same again. Then, for Python: as many clients as twice the processors send it all the
while, and as many threads run `bwrap --unshare-all python3 -I -S` all the while. Printed are medians, rates and ratios, out of what
each run's sandbox was made, how long a warm run took inside the worker (its end is no earlier than its first output), and the processor time of the platform and all its sandboxes for each run.
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
import threading
import time
from collections import Counter

HELLO = {
    "python": ("print(42)", ["/usr/bin/python3", "-I", "-S", "-c", "print(42)"], 0.25),
    "node": ("console.log(42)", ["/usr/bin/node", "-e", "console.log(42)"], 0.15),
    "c++": ("#include <iostream>\nint main() { std::cout << 42 << std::endl; }", None, 0.4),
}
BWRAP = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink",
         "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]


class Platform:
    def __init__(self, program, folder, config=None):
        env = {**os.environ, "SKYLIFT_LOG": "warn"}
        argv = [program, "up", "--data", f"{folder}/data", "--listen", "127.0.0.1:0"]
        argv += ["--config", config] if config else []
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=sys.stderr, env=env, text=True)
        ready = self.process.stdout.readline()
        if "http://" not in ready:
            sys.exit(f"the platform did not start: {ready}")
        self.port = int(ready.strip().rsplit(":", 1)[1].split("/")[0])
        with open(f"{folder}/data/owner-token", encoding="utf-8") as file:
            self.token = file.read().strip()

    def client(self):
        return Client(self)

    def cpu_seconds(self):
        """Of the platform, and of all below its control group that have ended or still live: the whole machine's busy time."""
        with open("/proc/stat", encoding="utf-8") as file:
            fields = [int(field) for field in file.readline().split()[1:]]
        return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Client:
    def __init__(self, platform):
        self.connection = http.client.HTTPConnection("127.0.0.1", platform.port)
        self.headers = {"host": "localhost", "x-api-key": platform.token}

    def run(self, language, source):
        body = json.dumps({"language": language, "source": source})
        self.connection.request("POST", "/run", body, self.headers)
        answer = json.loads(self.connection.getresponse().read())
        if answer.get("status") != "ok" or answer["stdout"] != "42\n":
            sys.exit(f"{language}: {answer}")
        return answer["usage"]


def timed(work):
    began = time.perf_counter()
    result = work()
    return (time.perf_counter() - began) * 1000, result


def bare(language, folder):
    source, argv, _ = HELLO[language]
    if argv is None:
        with open(f"{folder}/main.cpp", "w", encoding="utf-8") as file:
            file.write(source)
        subprocess.run(["/usr/bin/g++", "-O2", "-o", f"{folder}/main", f"{folder}/main.cpp"], check=True)
        argv = [f"{folder}/main"]
    if subprocess.run(argv, capture_output=True, check=True).stdout != b"42\n":
        sys.exit(f"{argv} does not print 42")


def beside_the_bare(platform, folder, language, rounds, runs):
    client = platform.client()
    client.run(language, HELLO[language][0])
    ours, theirs, starts, inside = [], [], Counter(), []
    for _ in range(rounds):
        for _ in range(runs):
            took, usage = timed(lambda: client.run(language, HELLO[language][0]))
            ours.append(took)
            starts[usage["start"]] += 1
            if usage["start"] != "cold":
                inside.append((usage["dispatch_us"] + usage["wall_us"]) / 1000)
        theirs.extend(timed(lambda: bare(language, folder))[0] for _ in range(runs))
    ours.sort()
    p50, p99, other = statistics.median(ours), ours[int(len(ours) * 0.99)], statistics.median(theirs)
    print(f"{language} hello, one client: p50 {p50:.2f} ms, p99 {p99:.2f} ms; bare {other:.2f} ms; "
          f"ratio {p50 / other:.2f} (target {HELLO[language][2]}); {dict(starts)}", flush=True)
    inside.sort()
    if inside:
        print(f"  inside the worker, warm, from its dispatch to its end: p50 {statistics.median(inside):.2f} ms, "
              f"p99 {inside[int(len(inside) * 0.99)]:.2f} ms (target 5 to the first output)", flush=True)


def compiled(platform, folder, rounds, runs):
    """A program that is new each time, and then the same again, by turns with the compiler and the program alone."""
    source = HELLO["c++"][0]
    client = platform.client()
    # Headers are read for all at the first run, beside.
    for number in range(3):
        client.run("c++", f"{source}\n// before {number}\n")
        time.sleep(2)
    first, again, theirs = [], [], []
    for round_ in range(rounds):
        for run in range(runs):
            new = f"{source}\n// {round_} {run}\n"
            first.append(timed(lambda: client.run("c++", new))[0])
            again.extend(timed(lambda: client.run("c++", new))[0] for _ in range(5))
            theirs.append(timed(lambda: bare("c++", folder))[0])
    ours, other, again = statistics.median(first), statistics.median(theirs), statistics.median(again)
    print(f"c++ hello, one client: first time {ours:.2f} ms; bare {other:.2f} ms; ratio {ours / other:.2f} (target {HELLO['c++'][2]}); "
          f"again {again:.2f} ms (target 3)", flush=True)


def for_seconds(seconds, threads, make):
    """How many times a second, and the machine's busy seconds for each."""
    counts, end = [0] * threads, time.monotonic() + seconds

    def work(number):
        once = make()
        while time.monotonic() < end:
            once()
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


HELLO_LUA = """
wrk.method, wrk.path = "POST", "/run"
wrk.body = '{"language":"python","source":"print(42)"}'
wrk.headers["x-api-key"], wrk.headers["Host"] = KEY, "localhost"
local wrong = 0
function response(status, headers, body)
  if not body:find('"status":"ok"') or not body:find('"stdout":"42\\\\n"') then
    wrong = wrong + 1
    if wrong < 3 then print("wrong " .. body) end
  end
end
"""


def asked_all_the_while(platform, folder, seconds):
    """How many runs a second as many clients get as twice the processors; they cost next to nothing themselves."""
    script = f"{folder}/hello.lua"
    with open(script, "w", encoding="utf-8") as file:
        file.write(f'KEY = "{platform.token}"\n{HELLO_LUA}')
    clients = str(2 * os.cpu_count())
    argv = ["wrk", "-t", "1", "-c", clients, "-d", f"{seconds}s", "-s", script, f"http://127.0.0.1:{platform.port}"]
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if "wrong" in out or "Non-2xx" in out:
        sys.exit(out)
    return float(re.search(r"Requests/sec:\s+([0-9.]+)", out).group(1))


def saturated(platform, folder, rounds, seconds):
    threads = 2 * os.cpu_count()
    ours, theirs, cpu_ms = [], [], []
    for _ in range(rounds):
        before = platform.cpu_seconds()
        rate = asked_all_the_while(platform, folder, int(seconds))
        cpu_ms.append((platform.cpu_seconds() - before) * 1000 / max(rate * seconds, 1))
        ours.append(rate)
        if shutil.which("bwrap"):
            argv = [*BWRAP, "/usr/bin/python3", "-I", "-S", "-c", "print(42)"]
            theirs.append(for_seconds(seconds, os.cpu_count(),
                                      lambda: lambda: subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)))
    rate = statistics.median(ours)
    print(f"python hello, {threads} clients: {rate:.0f} runs/s (target 400), "
          f"{statistics.median(cpu_ms):.2f} ms of the machine's processors each, the clients' included", flush=True)
    if theirs:
        other = statistics.median(theirs)
        print(f"bwrap --unshare-all python3 -I -S on all processors: {other:.0f}/s; ratio {rate / other:.2f} (target 4)")
    else:
        print("SKIPPED bwrap: it is not on this machine (Debian: bubblewrap)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("skylift")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--language", nargs="*", default=list(HELLO))
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="skylift-bench-") as folder:
        platform = Platform(arguments.skylift, folder)
        try:
            for language in arguments.language:
                if language == "c++":
                    compiled(platform, folder, arguments.rounds, max(arguments.runs // 4, 1))
                else:
                    beside_the_bare(platform, folder, language, arguments.rounds, arguments.runs)
            saturated(platform, folder, arguments.rounds, arguments.seconds)
        finally:
            platform.stop()


if __name__ == "__main__":
    main()
