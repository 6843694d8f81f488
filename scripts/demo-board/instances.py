"""The board's instances: how many there are, and two ways to be rid of one."""

import http.client
import json
import os
import signal
import time
from pathlib import Path


class Instances:
    def __init__(self, address, token, app):
        self.address, self.token, self.app = address, token, app

    def alive(self):
        """Those that have not ended: id and state, oldest first."""
        listed = self._call("GET", f"/v1/apps/{self.app}/instances")
        return [(one["id"], one["state"]) for one in listed["instances"] if one["state"] != "ended"]

    def remove(self, id):
        """Asks the platform to take it away: it finishes what it has."""
        self._call("DELETE", f"/v1/instances/{id}")

    def kill(self, id):
        """Kills every process of it at once, as the kernel may; returns how many there were, when all are gone."""
        pids, end = set(), time.monotonic() + 10
        # A server begins another worker in the place of a dead one as long as it lives itself.
        while (more := processes_of(id)) or any(is_alive(pid) for pid in pids):
            for pid in more:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            pids.update(more)
            if time.monotonic() > end:
                break
            time.sleep(0.005)
        return len(pids)

    def _call(self, method, path):
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        connection.request(method, path, headers={"Host": "localhost", "x-api-key": self.token})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {body[:200]!r}")
        return json.loads(body) if body else None


def processes_of(id):
    """By the variable that every process of an instance has."""
    mark = f"SKYLIFT_INSTANCE={id}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            pass  # Gone, or not ours to see.
    return found


def is_alive(pid):
    try:
        # After the name in brackets, which may hold anything.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
