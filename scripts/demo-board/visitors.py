"""Visitors of the board who count: a steady number of requests a second, a third of them messages, each sent once.

A visitor tries again only where an instance was killed (kill -9) while the message was under way: then it sends the same
form once more, as people do, and that is counted apart. Anything else that goes wrong has failed.
"""

import http.client
import threading
import time
import uuid
from urllib.parse import urlencode

# Requests under way at most; more would only wait.
VISITORS = 24
ANSWER_SECONDS = 60
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Crowd:
    """All visitors. Numbers are read while they work; `posted` has the texts whose answer came."""

    def __init__(self, address, host, rate):
        self.address, self.host, self.rate = address, host, rate
        self.lock = threading.Lock()
        self.posted, self.read, self.failed = set(), 0, []
        self.lost, self.sent_again = 0, 0
        self.kills = []
        self._next, self._number, self._stop = time.monotonic(), 0, False
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(VISITORS)]

    def come(self):
        for thread in self._threads:
            thread.start()

    def leave(self):
        """Everybody finishes what they do, and nothing new begins."""
        self._stop = True
        for thread in self._threads:
            thread.join(2 * ANSWER_SECONDS)

    def during_kill(self, kill):
        """Runs `kill`; what is under way at any moment of it may be lost with who is killed."""
        window = [time.monotonic(), float("inf")]
        with self.lock:
            self.kills.append(window)
        try:
            return kill()
        finally:
            window[1] = time.monotonic()

    def _turn(self):
        """Waits for the next request's time, and returns its number; `None` at the end."""
        with self.lock:
            number, at = self._number, self._next
            self._number += 1
            # Who comes too late does not hurry the others.
            self._next = max(at, time.monotonic() - 1) + 1 / self.rate
        while not self._stop and (left := at - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
        return None if self._stop else number

    def _visit(self):
        connection = http.client.HTTPConnection(*self.address, timeout=ANSWER_SECONDS)
        while (number := self._turn()) is not None:
            if number % 3:
                self._read(connection)
            else:
                self._post(connection, number)
        connection.close()

    def _read(self, connection):
        _, said, status = self._ask(connection, "GET", "/")
        with self.lock:
            if status == 200:
                self.read += 1
            else:
                self.failed.append(f"GET: {said}")

    def _post(self, connection, number):
        text = f"message {number} {uuid.uuid4().hex}"
        form = urlencode({"name": f"Visitor {number}", "message": text, "token": uuid.uuid4().hex})
        while True:
            began, said, status = self._ask(connection, "POST", "/", form)
            with self.lock:
                if status == 303:
                    self.posted.add(text)
                    return
                # The one who dies may get it once more while it dies.
                if not self._was_killed(began):
                    self.failed.append(f"POST: {said}")
                    return
                self.lost += 1
                self.sent_again += 1

    def _was_killed(self, began):
        ended = time.monotonic()
        return any(began <= window[1] and window[0] <= ended for window in self.kills)

    def _ask(self, connection, method, path, body=None):
        """When it began, what came of it in words, and the status of a whole answer."""
        began = time.monotonic()
        try:
            connection.request(method, path, body, {"Host": self.host, **(FORM if body else {})})
            answer = connection.getresponse()
            page = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return began, f"{type(error).__name__}: {error}", None
        if method == "GET" and answer.status == 200 and not page.rstrip().endswith(b"</html>"):
            return began, "half a page", None
        return began, f"{answer.status} {page[:100]!r}", answer.status
