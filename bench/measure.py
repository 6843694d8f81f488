"""Figures of deploying: medians over rounds, ratios to a peer measured in the same run.

Everything runs on this machine's loopback, over the real program and real files. Usage: measure.py SKYLIFT [--quick]
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PORT = 8123


def median_ms(samples):
    return f"{statistics.median(samples) * 1000:8.1f} ms   (min {min(samples) * 1000:.1f}, max {max(samples) * 1000:.1f}, n {len(samples)})"


class Platform:
    def __init__(self, program, folder):
        self.program, self.data = program, folder / "data"
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(
            [program, "up", "--data", str(self.data), "--listen", f"127.0.0.1:{PORT}"],
            stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, "SKYLIFT_LOG": "info,access=off"})
        assert self.process.stdout.readline().startswith(b"ready ")
        self.token = (self.data / "owner-token").read_text()

    def cli(self, *words):
        done = subprocess.run([self.program, "--data", str(self.data), *words], capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{words}: {done.stderr.decode()}")
        return done

    def get(self, app, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
        connection.request("GET", path, headers={"Host": f"{app}.localhost:{PORT}"})
        body = connection.getresponse().read()
        connection.close()
        return body

    def until(self, app, body, path="/"):
        while self.get(app, path) != body:
            pass

    def pss_kib(self):
        total, pending = 0, [self.process.pid]
        while pending:
            pid = pending.pop()
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                pending += map(int, (task / "children").read_text().split())
        return total

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def one_file(platform, folder, rounds):
    site = folder / "one"
    site.mkdir()
    samples = []
    for n in range(rounds + 1):
        body = f"<h1>{n}</h1>".encode()
        (site / "index.html").write_bytes(body)
        began = time.perf_counter()
        platform.cli("deploy", str(site), "--app", "one")
        platform.until("one", body)
        samples.append(time.perf_counter() - began)
    return samples[1:]


def ten_thousand(platform, folder, rounds):
    site = folder / "many"
    for n in range(10_000):
        path = site / f"d{n // 100}" / f"f{n}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<p>page {n}</p>\n" * 20)
    began = time.perf_counter()
    platform.cli("deploy", str(site), "--app", "many")
    first = time.perf_counter() - began
    samples = []
    for n in range(rounds):
        body = f"<p>changed {n}</p>".encode()
        (site / "d50" / "f5000.html").write_bytes(body)
        began = time.perf_counter()
        platform.cli("deploy", str(site), "--app", "many")
        platform.until("many", body, "/d50/f5000.html")
        samples.append(time.perf_counter() - began)
    return first, samples


def rollback(platform, rounds):
    """`one` has many deployments by now: back and forth between the last two, from the request to the new bytes."""
    deployments = json.loads(platform.cli("deployments", "one", "--json").stdout)
    deployments = deployments["deployments"] if isinstance(deployments, dict) else deployments
    pair = [deployment["id"] for deployment in deployments if deployment["state"] in ("live", "previous")][:2]
    bodies = {id: platform.get_deployment(id) for id in pair}
    samples = []
    for n in range(rounds):
        target = pair[(n + 1) % 2]
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        connection.connect()
        began = time.perf_counter()
        connection.request("POST", "/v1/apps/one/rollback", body=json.dumps({"deployment": target}), headers={
            "Host": f"localhost:{PORT}", "x-api-key": platform.token, "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(text.decode())
        platform.until("one", bodies[target])
        samples.append(time.perf_counter() - began)
        connection.close()
    return samples


Platform.get_deployment = lambda self, id: self.get(id)

PACKAGE = {
    "name": "bench", "private": True, "version": "0.0.0", "type": "module",
    "scripts": {"build": "vite build"},
    "dependencies": {"react": "^19.0.0", "react-dom": "^19.0.0"},
    "devDependencies": {"@vitejs/plugin-react": "^6.0.0", "vite": "^8.0.0"},
}


def vite(platform, folder, rounds):
    """The second and later builds with an unchanged lockfile, against `vite build` in the same folder."""
    project = folder / "vite"
    (project / "src").mkdir(parents=True)
    (project / "package.json").write_text(json.dumps(PACKAGE))
    (project / "vite.config.js").write_text(
        "import react from '@vitejs/plugin-react'\nexport default { plugins: [react()] }\n")
    (project / "index.html").write_text(
        '<!doctype html><title>bench</title><div id="root"></div><script type="module" src="/src/main.jsx"></script>')
    write = lambda n: (project / "src/main.jsx").write_text(
        "import { createRoot } from 'react-dom/client'\n"
        f"createRoot(document.getElementById('root')).render(<h1>Number {n}</h1>)\n")
    write(0)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=project, check=True, capture_output=True)
    (project / ".gitignore").write_text("node_modules\ndist\n")
    bare = [str(project / "node_modules/.bin/vite"), "build"]
    platform.cli("deploy", str(project), "--app", "vite")
    ours, peers = [], []
    for n in range(1, rounds + 1):
        write(n)
        began = time.perf_counter()
        subprocess.run(bare, cwd=project, check=True, capture_output=True)
        peers.append(time.perf_counter() - began)
        began = time.perf_counter()
        platform.cli("deploy", str(project), "--app", "vite")
        ours.append(time.perf_counter() - began)
    return ours, peers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no npm")
    arguments = parser.parse_args()
    rounds = 5 if arguments.quick else 21
    load = os.getloadavg()[0]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skylift-bench-"))
    platform = Platform(arguments.program, folder)
    try:
        print(f"machine: {os.uname().release}, {os.cpu_count()} cores, load before {load:.2f}")
        print(f"release binary:                                {os.path.getsize(arguments.program) / 1e6:8.1f} MB")
        time.sleep(3)  # idle is what is measured here, nothing is waited for
        print(f"idle memory, whole process tree (PSS):         {platform.pss_kib() / 1024:8.1f} MiB")
        print(f"redeploy of a one-file site:                   {median_ms(one_file(platform, folder, rounds))}")
        print(f"rollback, request to new bytes:                {median_ms(rollback(platform, rounds))}")
        first, samples = ten_thousand(platform, folder, max(5, rounds // 2))
        print(f"first deploy of 10,000 files:                  {first * 1000:8.1f} ms")
        print(f"redeploy with 1 of 10,000 files changed:       {median_ms(samples)}")
        if not arguments.quick:
            ours, peers = vite(platform, folder, 11)
            ratios = [ours / peer for ours, peer in zip(ours, peers)]
            print(f"Vite + React, deploy with unchanged lockfile:  {median_ms(ours)}")
            print(f"bare `vite build` in the same folder:          {median_ms(peers)}")
            print(f"ratio, pair by pair:                           {statistics.median(ratios):8.2f}      (min {min(ratios):.2f}, max {max(ratios):.2f})")
        print(f"load after {os.getloadavg()[0]:.2f}")
    finally:
        platform.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
