"""The demo itself: load comes, instances come, some are killed, load goes, instances go; and every message is there.

    run.py PLATFORM-PORT OWNER-TOKEN-FILE DYNAMODB-PORT

Ends with 0 where everything that was posted is stored once, nothing failed, and there were ten instances and then one.
"""

import os
import sys
import time
from pathlib import Path

import table
from instances import Instances
from visitors import Crowd

RATE = float(os.environ["DEMO_RATE"])  # requests a second
LOAD_SECONDS = int(os.environ["DEMO_SECONDS"])  # from when all instances are there
MOST = int(os.environ["DEMO_INSTANCES"])
APP, TABLE = "board", "board"
# When, as a share of the load's time, and how.
TROUBLE = [(0.1, "remove"), (0.3, "kill"), (0.5, "remove"), (0.7, "kill"), (0.8, "remove")]
# For all instances to come, and for all but one to go.
PATIENCE_SECONDS = 120


def main():
    port, token_file, dynamodb_port = sys.argv[1:]
    here = ("127.0.0.1", int(port))
    show = Show(Instances(here, Path(token_file).read_text().strip(), APP), Crowd(here, f"{APP}.localhost", RATE))
    show.print(f"{RATE:.0f} requests a second, a third of them messages, for {LOAD_SECONDS} s from {MOST} instances on")
    show.crowd.come()
    most = show.load()
    show.crowd.leave()
    show.print("the visitors have left")
    least = show.wait_for(1)
    return verdict(show.crowd, table.texts(("127.0.0.1", int(dynamodb_port)), TABLE), most, least)


class Show:
    def __init__(self, instances, crowd):
        self.instances, self.crowd, self.began = instances, crowd, time.monotonic()

    def load(self):
        """Lets visitors come, and takes instances away meanwhile; the most that were ready at one time."""
        trouble, most, began = list(TROUBLE), 0, time.monotonic()
        full = began
        while True:
            most = max(most, self.line())
            now = time.monotonic()
            if most < MOST and now - began < PATIENCE_SECONDS:
                full = now
            while trouble and now - full >= trouble[0][0] * LOAD_SECONDS > 0:
                self.trouble(trouble.pop(0)[1])
            if now - full >= LOAD_SECONDS:
                return most
            time.sleep(1)

    def wait_for(self, count):
        """Waits for so many instances; how many there are in the end."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.line() != count or len(self.instances.alive()) != count:
            if time.monotonic() > end:
                break
            time.sleep(2)
        return len(self.instances.alive())

    def trouble(self, how):
        """Takes the oldest instance that is ready."""
        id = next((id for id, state in self.instances.alive() if state == "ready"), None)
        if id is None:
            return
        if how == "remove":
            self.instances.remove(id)
            self.print(f"DELETE /v1/instances/{id}")
        else:
            count = self.crowd.during_kill(lambda: self.instances.kill(id))
            self.print(f"kill -9 {id}, its {count} processes" if count else f"{id}: none of its processes can be seen")

    def line(self):
        """One line of what there is; how many instances are ready."""
        states = [state for _, state in self.instances.alive()]
        ready = states.count("ready")
        coming = states.count("starting")
        bar = ("█" * ready + "░" * coming).ljust(MOST)
        crowd = self.crowd
        self.print(
            f"{bar} {ready:2} ready, {coming} coming, {len(states) - ready - coming} going"
            f" | posted {len(crowd.posted)}, pages read {crowd.read}, failed {len(crowd.failed)}"
        )
        return ready

    def print(self, text):
        print(f"{time.monotonic() - self.began:4.0f} s  {text}", flush=True)


def verdict(crowd, stored, most, least):
    """Says what came of it; the exit code."""
    for said in crowd.failed[:5]:
        print(f"failed: {said}")
    if crowd.lost:
        print(f"lost with a killed instance {crowd.lost}, sent again by the visitor {crowd.sent_again}")
    missing, others = crowd.posted - set(stored), set(stored) - crowd.posted
    twice = len(stored) - len(set(stored))
    if missing or others or twice:
        print(f"not stored: {len(missing)}; stored twice: {twice}; stored, but not confirmed: {len(others)}")
    print(f"instances: {most} at most, {least} in the end")
    print(f"posted {len(crowd.posted)}, stored {len(stored)}, failed {len(crowd.failed)}")
    is_good = not (crowd.failed or missing or others or twice) and crowd.posted
    return 0 if is_good and most == MOST and least == 1 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
