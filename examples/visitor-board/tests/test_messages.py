"""The board on a real table: run against each DynamoDB-compatible server there is, and against DynamoDB itself by
whoever has it.

    AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:4567 AWS_DEFAULT_REGION=… python -m unittest discover -s tests

Each test has a table of its own and removes it. Needs boto3's own variables for credentials.
"""

import os
import re
import sys
import threading
import unittest
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import boto3

sys.path.insert(0, str(Path(__file__).parent.parent))
from messages import PAGE, Messages, Unavailable

BEGAN = datetime(2030, 1, 31, 23, 59, 58, tzinfo=timezone.utc)


def table_name():
    return f"board-test-{uuid.uuid4().hex[:12]}"


class OnATable(unittest.TestCase):
    def setUp(self):
        self.messages = Messages(table_name())
        self.assertTrue(self.messages.ensure())
        self.addCleanup(lambda: self.messages.client.delete_table(TableName=self.messages.table))

    def add(self, number, token=None, text=None, after=None):
        at = BEGAN + timedelta(seconds=number if after is None else after)
        return self.messages.add(token or f"token-{number:04}", "Ada", text or f"text {number}", at)

    def texts(self):
        """All of them, page by page, newest first."""
        after, texts = None, []
        while True:
            page = self.messages.page(after)
            texts += [message.text for message in page.messages]
            after = page.older
            if after is None:
                return texts
            self.assertEqual(len(page.messages), PAGE)

    def test_a_table_is_made_once(self):
        self.assertFalse(self.messages.ensure())

    def test_what_is_stored_is_read_as_it_was_written_by_whoever_asks_next(self):
        text = "Grüße, \u202fдрузья 👋🏽\n\n<b>&amp;</b> ' \" \\ %s {{ 1 }}"
        id = self.add(1, text=text)
        (message,) = Messages(self.messages.table).page().messages
        self.assertEqual((message.id, message.name, message.text), (id, "Ada", text))
        self.assertEqual(message.when, BEGAN + timedelta(seconds=1))

    def test_what_is_sent_twice_is_stored_once_with_its_first_time(self):
        first = self.add(1)
        self.add(2)
        self.assertEqual(self.add(1, after=60), first)
        self.assertEqual(self.texts(), ["text 2", "text 1"])
        self.assertEqual(self.messages.page().messages[1].when, BEGAN + timedelta(seconds=1))

    def test_a_token_with_another_text_is_another_message(self):
        self.add(1, token="token-same")
        self.add(2, token="token-same")
        self.assertEqual(self.texts(), ["text 2", "text 1"])

    def test_what_is_sent_by_many_at_once_is_stored_once(self):
        ids = []
        threads = [threading.Thread(target=lambda: ids.append(self.add(1))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(ids), len(set(ids))), (8, 1))
        self.assertEqual(self.texts(), ["text 1"])

    def test_pages_hold_every_message_once_newest_first(self):
        # Written in another order than posted, three of them at the same moment.
        for number in [*range(0, 2 * PAGE + 1, 2), *range(1, 2 * PAGE + 1, 2)]:
            self.add(number, after=number // 3)
        texts = self.texts()
        self.assertEqual(sorted(texts), sorted(f"text {number}" for number in range(2 * PAGE + 1)))
        thirds = [int(text.split()[1]) // 3 for text in texts]
        self.assertEqual(thirds, sorted(thirds, reverse=True))

    def test_full_pages_lead_to_no_empty_one(self):
        for number in range(PAGE):
            self.add(number)
        self.assertIsNone(self.messages.page().older)
        self.add(PAGE)
        last = self.messages.page(self.messages.page().older)
        self.assertEqual(([message.text for message in last.messages], last.older), (["text 0"], None))

    def test_a_page_stays_where_it_is_while_others_post(self):
        for number in range(PAGE + 1):
            self.add(number)
        older = self.messages.page().older
        self.add(1000)
        self.assertEqual([message.text for message in self.messages.page(older).messages], ["text 0"])

    def test_what_is_no_position_leads_to_the_newest(self):
        self.add(1)
        for after in ("x", "_", "2030-01-31T23:59:58.000000Z_", "٢030-01-31T23:59:58.000000Z_" + "0" * 32):
            self.assertEqual(len(self.messages.page(after).messages), 1, after)


class WithoutATable(unittest.TestCase):
    def test_a_table_that_is_gone_is_unavailable(self):
        messages = Messages(table_name())
        with self.assertRaises(Unavailable):
            messages.page()
        with self.assertRaises(Unavailable):
            messages.add("token-0001", "Ada", "text", BEGAN)

    def test_a_server_that_is_away_is_unavailable(self):
        from messages import PATIENCE

        client = boto3.client("dynamodb", endpoint_url="http://127.0.0.1:9", config=PATIENCE)
        for attempt in (lambda m: m.page(), lambda m: m.add("token-0001", "Ada", "x", BEGAN), lambda m: m.ensure()):
            with self.assertRaises(Unavailable):
                attempt(Messages("board", client))


class Pages(unittest.TestCase):
    """The whole board, over a table."""

    @classmethod
    def setUpClass(cls):
        os.environ["MESSAGES_TABLE"] = table_name()
        import app

        cls.board = app
        cls.messages = app.messages
        cls.messages.ensure()
        cls.addClassCleanup(lambda: cls.messages.client.delete_table(TableName=cls.messages.table))

    def setUp(self):
        self.visitor = self.board.app.test_client()

    def post(self, **form):
        return self.visitor.post("/", data=form)

    def test_a_message_is_shown_escaped_where_its_answer_leads(self):
        answer = self.post(name=" Ada\t<i> ", message="<script>alert(1)</script>\r\nsecond", token="token-page")
        self.assertEqual(answer.status_code, 303)
        path, anchor = answer.headers["Location"].split("#")
        page = self.visitor.get(path).text
        self.assertIn(f'id="{anchor}"', page)
        self.assertIn("Ada &lt;i&gt;", page)
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt;\nsecond", page)
        self.assertNotIn("<script>", page)

    def test_each_form_has_a_token_of_its_own_and_a_form_without_one_is_taken(self):
        tokens = {re.search('name="token" value="([^"]+)"', self.visitor.get("/").text)[1] for _ in range(3)}
        self.assertEqual(len(tokens), 3)
        self.assertEqual(self.post(name="Ada", message="by curl").status_code, 303)

    def test_what_is_wrong_is_said_and_what_was_written_is_kept(self):
        for form, said in [
            ({"name": "", "message": "kept"}, "say who you are"),
            ({"name": "  \u202e ", "message": "kept"}, "say who you are"),
            ({"name": "kept", "message": "\r\n \u200b"}, "write something"),
            ({"name": "k" * 41, "message": "kept"}, "this one has 41"),
            ({"name": "kept", "message": "ä" * 501}, "this one has 501"),
            ({"name": "kept", "message": "kept", "token": "short"}, "damaged"),
        ]:
            answer = self.post(**form)
            self.assertEqual(answer.status_code, 422, form)
            self.assertIn(said, answer.text)
            for value in (form["name"].strip(" \u202e"), form["message"].strip("\r\n ")):
                self.assertIn(value, answer.text)
        self.assertEqual(self.post(name="k" * 40, message="ä" * 500).status_code, 303)

    def test_other_requests_are_refused_with_a_page(self):
        self.assertEqual(self.post(name="Ada", message="x" * 20_000).status_code, 413)
        self.assertEqual(self.visitor.get("/nothing").status_code, 404)
        self.assertEqual(self.visitor.put("/").status_code, 405)
        self.assertIn("GET", self.visitor.put("/").headers["Allow"])

    def test_a_table_that_is_away_is_said_and_the_form_comes_back_with_its_token(self):
        self.board.messages = Messages(table_name(), self.messages.client)
        self.addCleanup(lambda: setattr(self.board, "messages", self.messages))
        with self.assertLogs(self.board.app.logger):
            self.says_so_and_keeps_the_form()

    def says_so_and_keeps_the_form(self):
        read = self.visitor.get("/")
        self.assertEqual((read.status_code, read.headers["Retry-After"]), (503, "5"))
        self.assertIn("cannot be reached", read.text)
        written = self.post(name="Ada", message="do not lose this", token="token-kept")
        self.assertEqual(written.status_code, 503)
        for part in ("do not lose this", "token-kept", "Ada"):
            self.assertIn(part, written.text)
        self.assertIn("half of it", self.post(name="", message="half of it").text)
        self.assertEqual(self.visitor.get("/healthz").status_code, 200)

    def test_nothing_is_kept_and_nothing_from_elsewhere_runs(self):
        answer = self.visitor.get("/")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        with self.visitor.get("/static/style.css") as style:
            self.assertIn("max-age=31536000", style.headers["Cache-Control"])


if __name__ == "__main__":
    unittest.main()
