"""What a hostile build costs its neighbours: p99 of static requests to one app, quiet and beside a build of another.

Quiet and hostile turns alternate; each pair gives a ratio, and the median of the ratios is printed. The client asks at a
steady pace on one kept connection and runs at a higher priority than everything else where it may, so that its own
waiting is not counted. Usage: neighbours.py SKYLIFT [--pairs N] [--seconds S] [--only KIND]
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PORT = 8124
PACE = 0.002  # seconds from one request to the next

# What the other build does. Each prints `started` first, and goes on until it is killed.
HOSTILE = {
    "fork bomb": "while (1) { my $p = fork(); if (defined $p && !$p) { while (1) { fork(); } } }",
    "memory": "while (1) { my $p = fork(); if (defined $p && !$p) { my @a; while (1) { push @a, 'x' x 16777216; } } "
              "waitpid($p, 0) if $p; }",
    "CPU spin": "for (1 .. 8) { my $p = fork(); if (defined $p && !$p) { while (1) {} } } sleep 1000;",
    "log flood": "my $y = ('y' x 99 . \"\\n\") x 300; while (1) { print $y; }",
    "disk": "while (1) { open my $f, '>', 'full'; for (1 .. 400) { print $f 'x' x 1048576; } close $f; }",
}

CONFIG = """
[build]
memory_bytes = 536870912
pids = 256
output_bytes = 1099511627776
step_seconds = 600
"""


def ordinary():
    """Only the client itself goes first, not what it starts."""
    os.setpriority(os.PRIO_PROCESS, 0, 0)


class Platform:
    def __init__(self, program, folder, config=CONFIG, wrap=()):
        self.program, self.data = program, folder / "data"
        settings = folder / "config.toml"
        settings.write_text(config)
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            [*wrap, program, "up", "--data", str(self.data), "--listen", f"127.0.0.1:{PORT}", "--config", str(settings)],
            stdout=subprocess.PIPE, stderr=self.log, preexec_fn=ordinary)
        assert self.process.stdout.readline().startswith(b"ready ")

    def cli(self, *words):
        done = subprocess.run([self.program, "--data", str(self.data), *words], capture_output=True, check=False,
                              preexec_fn=ordinary)
        if done.returncode != 0:
            sys.exit(f"{words}: {done.stderr.decode()}")
        return done.stdout.decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def p99_ms(seconds):
    """Asks for one page at a steady pace; late answers make no request less."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    samples = []
    began = time.perf_counter()
    for number in range(int(seconds / PACE)):
        due = began + number * PACE
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        else:
            due = time.perf_counter()
        connection.request("GET", "/", headers={"Host": f"quiet.localhost:{PORT}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"status {answer.status}")
        samples.append(time.perf_counter() - due)
    connection.close()
    return statistics.quantiles(samples, n=100)[98] * 1000


def project(folder, name, script):
    place = folder / name.replace(" ", "-")
    place.mkdir()
    (place / "package.json").write_text("{}\n")
    (place / "hostile.pl").write_text(f"$| = 1; print \"started\\n\"; $| = 0;\n{script}\n")
    (place / "skylift.toml").write_text(
        '[build]\ninstall = ""\ncommand = "perl hostile.pl"\noutput = "dist"\n')
    return place


def beside(platform, place, seconds):
    """The p99 while the build runs; it is cancelled and gone at the end."""
    said = json.loads(platform.cli("deploy", str(place), "--app", "hostile", "--no-wait", "--json"))
    following = subprocess.Popen(
        [platform.program, "--data", str(platform.data), "logs", "hostile", "--build", said["id"], "-f"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=ordinary)
    for line in following.stdout:
        if b"started" in line:
            break
    following.kill()
    following.wait()
    measured = p99_ms(seconds)
    platform.cli("cancel", said["id"])
    return measured


def settle(platform):
    while True:
        listed = json.loads(platform.cli("deployments", "hostile", "--json"))
        listed = listed["deployments"] if isinstance(listed, dict) else listed
        if all(one["state"] not in ("queued", "building", "deploying") for one in listed):
            return
        time.sleep(0.05)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--only", choices=HOSTILE)
    arguments = parser.parse_args()
    try:
        os.nice(-15)
        first = "client at nice -15"
    except OSError:
        first = "client without priority"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skylift-neighbours-"))
    program = str(pathlib.Path(arguments.program).resolve())
    print(f"machine: {os.uname().release}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}; {first}")
    platform = Platform(program, folder)
    try:
        quiet_site = folder / "site"
        quiet_site.mkdir()
        (quiet_site / "index.html").write_text("x" * 1024)
        platform.cli("deploy", str(quiet_site), "--app", "quiet")
        p99_ms(1)
        for name, script in HOSTILE.items():
            if arguments.only in (None, name):
                row(platform, folder, name, script, arguments)
        print(f"load after {os.getloadavg()[0]:.2f}")
    finally:
        platform.stop()
        shutil.rmtree(folder, ignore_errors=True)


def row(platform, folder, name, script, arguments):
    place = project(folder, name, script)
    quiet, hostile = [], []
    for number in range(arguments.pairs):
        # The source must differ, or the deployment would be the one before.
        (place / "number").write_text(str(number))
        quiet.append(p99_ms(arguments.seconds))
        hostile.append(beside(platform, place, arguments.seconds))
        settle(platform)
    ratios = [h / q for h, q in zip(hostile, quiet)]
    print(f"{name:10}  quiet p99 {statistics.median(quiet):7.2f} ms   beside it {statistics.median(hostile):7.2f} ms   "
          f"ratio {statistics.median(ratios):5.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}, n {len(ratios)})", flush=True)


if __name__ == "__main__":
    main()
