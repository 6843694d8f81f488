"""Measures how soon a new deployment's route is visible at an edge in another process, over Redis:
`routes.py SKYLIFT [--rounds N]`.

Starts a PostgreSQL, a Redis and an S3 server (SeaweedFS, from target/peers) and two processes: one with the role edge, one with
all others. Each round goes back or forth between two deployments by `POST /v1/apps/{app}/rollback`, sent straight to the API,
while another connection asks the edge for the page as fast as it answers. Printed: from the moment the change is committed
(the `at` of the row, on the same clock) to the first answer of the edge with the new page; and from the request to there.
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def postgres(folder):
    versions = sorted(os.listdir("/usr/lib/postgresql"), key=int)
    programs = f"/usr/lib/postgresql/{versions[-1]}/bin"
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    shutil.chown(folder, "postgres", "postgres") if as_user else None
    data = os.path.join(folder, "data")
    subprocess.run([*as_user, f"{programs}/initdb", "-U", "postgres", "-A", "trust", "-D", data], check=True,
                   stdout=subprocess.DEVNULL)
    process = subprocess.Popen([*as_user, f"{programs}/postgres", "-D", data, "-k", folder, "-c", "listen_addresses="],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = "postgres://postgres@" + folder.replace("/", "%2F") + "/postgres"
    wait_for(lambda: os.path.exists(f"{folder}/.s.PGSQL.5432"), "PostgreSQL")
    return process, url


def wait_for(is_there, what):
    deadline = time.monotonic() + 60
    while not is_there():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not start")
        time.sleep(0.05)


class Skylift:
    def __init__(self, program, roles, folder, config, key=None):
        self.data = os.path.join(folder, roles.replace(",", "-"))
        env = {**os.environ, "SKYLIFT_LOG": "warn", **({"SKYLIFT_MASTER_KEY_FILE": key} if key else {})}
        self.port = free_port()
        argv = [program, "serve", "--roles", roles, "--data", self.data, "--config", config,
                "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=sys.stderr, env=env, text=True)
        if not self.process.stdout.readline().startswith("ready"):
            sys.exit(f"{roles} did not start")


class Watcher(threading.Thread):
    """Asks for a page without pause; notes when its text first was another one."""

    def __init__(self, port, host):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.host, self.seen, self.changed = host, None, threading.Condition()

    def run(self):
        while True:
            try:
                self.connection.request("GET", "/", headers={"host": self.host})
                text = self.connection.getresponse().read().decode()
            except OSError:
                return  # The edge was stopped; whoever still waits for a page gives up by itself.
            if self.seen is None or text != self.seen[0]:
                with self.changed:
                    self.seen = (text, time.time())
                    self.changed.notify_all()

    def when(self, text):
        with self.changed:
            if not self.changed.wait_for(lambda: self.seen and self.seen[0] == text, 30):
                sys.exit(f"the edge does not serve {text!r}")
            return self.seen[1]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.program)
    # In /tmp itself: the path of a socket must be short.
    folder = tempfile.mkdtemp(prefix="routes-", dir="/tmp")
    os.chmod(folder, 0o755)
    running = []
    try:
        measure(program, folder, arguments.rounds, running)
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def measure(program, folder, rounds, running):
    os.mkdir(f"{folder}/pg")
    process, store = postgres(f"{folder}/pg")
    running.append(process)
    redis = free_port()
    running.append(subprocess.Popen(["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "",
                                     "--dir", folder], stdout=subprocess.DEVNULL))
    s3 = start_s3(folder, running)
    config = f"{folder}/config.toml"
    with open(config, "w") as file:
        file.write(f'[store]\nurl = "{store}"\n[bus]\nurl = "redis://127.0.0.1:{redis}"\n[blob.s3]\n'
                   f'endpoint = "http://127.0.0.1:{s3}"\nbucket = "bench"\naccess_key_id = "key"\n'
                   'secret_access_key = "secret"\n')
    back = Skylift(program, "api,upload,build,deploy", folder, config)
    running.append(back.process)
    edge = Skylift(program, "edge", folder, config)
    running.append(edge.process)
    token = open(f"{back.data}/owner-token").read()
    cli = {**os.environ, "SKYLIFT_URL": f"http://127.0.0.1:{back.port}", "SKYLIFT_TOKEN": token,
           "XDG_STATE_HOME": folder, "XDG_CACHE_HOME": folder, "XDG_CONFIG_HOME": folder}
    source, ids = f"{folder}/source", {}
    os.mkdir(source)
    for page in ["one", "two"]:
        with open(f"{source}/index.html", "w") as file:
            file.write(page)
        ran = subprocess.run([program, "deploy", source, "--app", "shop", "--json"], env=cli, check=True,
                             capture_output=True, text=True)
        ids[page] = json.loads(ran.stdout)["id"]
    watcher = Watcher(edge.port, "shop.localhost")
    watcher.start()
    watcher.when("two")
    api = http.client.HTTPConnection("127.0.0.1", back.port)
    from_request, from_answer = [], []
    for number in range(rounds):
        page = ["one", "two"][number % 2]
        began = time.time()
        api.request("POST", "/v1/apps/shop/rollback", json.dumps({"deployment": ids[page]}),
                    {"host": "localhost", "authorization": f"Bearer {token}", "content-type": "application/json"})
        answer = api.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{answer.status} {body!r}")
        committed = live_at(api, token, ids[page])
        served = watcher.when(page)
        from_request.append((served - began) * 1000)
        from_answer.append((served - committed) * 1000)
    for what, values in [("from the request", from_request), ("from the row's own time", from_answer)]:
        print(f"route visible at the other process's edge, {what}: median {statistics.median(values):.1f} ms, "
              f"p99 {percentile(values, 0.99):.1f} ms, most {max(values):.1f} ms, {len(values)} rounds")
    print(f"load {os.getloadavg()[0]:.1f}; target: p99 at most 20 ms")


def live_at(api, token, deployment):
    """When the row says that it went live, in seconds; the transaction takes its time before it begins."""
    api.request("GET", f"/v1/deployments/{deployment}/events",
                headers={"host": "localhost", "authorization": f"Bearer {token}"})
    text = api.getresponse().read().decode()
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {\"")]
    return max(at_seconds(event["at"]) for event in events if event.get("state") == "live")


def at_seconds(at):
    if isinstance(at, (int, float)):
        return at / 1000
    from datetime import datetime
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def start_s3(folder, running):
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target"))
    weed = shutil.which("weed") or os.path.join(target, "peers", "bin", "weed")
    if not os.path.exists(weed):
        sys.exit("SeaweedFS is not installed; `make peers` installs it")
    ports = {name: free_port() for name in ["s3", "filer", "master", "volume"]}
    grpc = [f"-{name}.port.grpc={free_port()}" for name in ports]
    os.mkdir(f"{folder}/weed")
    with open(f"{folder}/identities.json", "w") as file:
        json.dump({"identities": [{"name": "bench", "credentials": [{"accessKey": "key", "secretKey": "secret"}],
                                   "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}, file)
    argv = [weed, "server", f"-dir={folder}/weed", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
            "-volume.max=8", "-master.electionTimeout=1s", f"-s3.config={folder}/identities.json",
            "-s3.port.iceberg=0", "-s3.port.lance=0", *grpc]
    argv += [f"-{name}.port={port}" for name, port in ports.items()]
    running.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=f"{folder}/weed"))

    def status(method, port, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request(method, path, headers={"content-length": "0"})
            return connection.getresponse().status
        except OSError:
            return None

    wait_for(lambda: status("GET", ports["s3"], "/") == 403, "SeaweedFS")
    wait_for(lambda: status("POST", ports["filer"], "/buckets/bench/") == 201, "SeaweedFS's filer")
    return ports["s3"]


if __name__ == "__main__":
    main()
