"""What large uploads cost visitors: p99 of static reads, quiet and beside eight uploads at once.

The server runs on core 0 alone, the uploads and the client that reads on core 1. Each upload is one file, sent at a steady
pace. Quiet and busy turns alternate; the median of the ratios of pairs is printed, with the pace that was reached: a disk
or a core that cannot take it is seen there. Usage: uploads.py SKYLIFT [--pairs N] [--count N] [--mib N] [--pace MB/S]
"""

import argparse
import hashlib
import http.client
import json
import multiprocessing
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

import neighbours
from neighbours import PORT, Platform, p99_ms

SERVER_CORE, LOAD_CORE = 0, 1
PIECE = 1 << 18

CONFIG = """
[upload]
source_bytes_max = 4294967296
file_bytes_max = 4294967296
[keep]
unnamed_seconds = 0
"""


def pieces(number, size):
    """A file nobody has sent before, made of one piece again and again behind a number."""
    first = f"{os.getpid()}-{time.time_ns()}-{number}".encode().ljust(PIECE, b"-")
    piece = os.urandom(PIECE)
    yield first
    for _ in range(size // PIECE - 1):
        yield piece


def ask(token, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=600)
    given = {"Authorization": f"Bearer {token}", "Host": f"localhost:{PORT}", **(headers or {})}
    connection.request(method, path, body=body, headers=given)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {text[:300]}")
    return json.loads(text) if text else None


def upload(token, number, size, pace, begun, took):
    """Declares a file, waits for all others, sends it at its pace."""
    sent = list(pieces(number, size))
    digest = hashlib.sha256()
    for piece in sent:
        digest.update(piece)
    name = digest.hexdigest()
    files = [{"path": f"file-{number}", "sha256": name, "size": size, "mode": 0o644}]
    made = ask(token, "POST", "/v1/apps/quiet/uploads", json.dumps({"files": files}),
               {"Content-Type": "application/json"})
    begun.wait()
    began = time.perf_counter()

    def paced():
        for index, piece in enumerate(sent):
            wait = began + index * PIECE / pace - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            yield piece

    ask(token, "PUT", f"/v1/uploads/{made['id']}/blobs/{name}", paced(), {"Content-Length": str(size)})
    took.put(time.perf_counter() - began)


def beside(token, arguments):
    """The p99 while the uploads run, and the slowest upload's MB a second."""
    size, pace = arguments.mib << 20, arguments.pace * 1e6
    begun, took = multiprocessing.Barrier(arguments.count + 1), multiprocessing.Queue()
    senders = [multiprocessing.Process(target=upload, args=(token, number, size, pace, begun, took))
               for number in range(arguments.count)]
    for sender in senders:
        sender.start()
    begun.wait()
    # As long as they should take: those that take longer were held by something.
    measured = p99_ms(size / pace)
    slowest = max(took.get() for _ in senders)
    for sender in senders:
        sender.join()
    return measured, size / slowest / 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--pace", type=float, default=50)
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="skylift-uploads-"))
    os.sched_setaffinity(0, {LOAD_CORE})
    print(f"machine: {os.uname().release}, {os.cpu_count()} cores, load before {os.getloadavg()[0]:.2f}")
    platform = Platform(program, folder, CONFIG, ("taskset", "-c", str(SERVER_CORE)))
    try:
        site = folder / "site"
        site.mkdir()
        (site / "index.html").write_text("x" * 1024)
        platform.cli("deploy", str(site), "--app", "quiet")
        token = (folder / "data" / "owner-token").read_text().strip()
        p99_ms(1)
        seconds = arguments.mib * (1 << 20) / arguments.pace / 1e6
        quiet, busy, reached = [], [], []
        for _ in range(arguments.pairs):
            quiet.append(p99_ms(seconds))
            p99, pace = beside(token, arguments)
            busy.append(p99)
            reached.append(pace)
            platform.cli("gc")
        ratios = [b / q for b, q in zip(busy, quiet)]
        print(f"{arguments.count} uploads of {arguments.mib} MiB at {arguments.pace:.0f} MB/s each: "
              f"quiet p99 {statistics.median(quiet):.2f} ms, beside them {statistics.median(busy):.2f} ms, "
              f"ratio {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}, n {len(ratios)}); "
              f"the slowest reached {statistics.median(reached):.0f} MB/s; load after {os.getloadavg()[0]:.2f}")
    finally:
        platform.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    neighbours.ordinary()
    main()
