"""The messages, in a DynamoDB table: the board's only state. Knows nothing of pages and forms.

One item per message. Its key is the board's name and an id that is made of what the visitor sent, so that whatever is
sent twice is stored once. A local index sorts by the time of posting; unlike a global one it can be read consistently,
so that who has posted sees the message at once, whichever instance answers.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

# All messages lie below one key: DynamoDB takes about 1000 a second there. A busier site has a board for each topic.
BOARD = "visitors"
NEWEST = "newest"
PAGE = 20

# Together with the tries a visitor waits a few seconds at most for a table that is away.
PATIENCE = Config(
    connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=16
)
POSITION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)_([0-9a-f]{32})", re.ASCII)


class Unavailable(Exception):
    """The table cannot be read or written. What was tried may have happened all the same: it can be tried again."""


@dataclass(frozen=True)
class Message:
    id: str
    name: str
    text: str
    posted: str

    @property
    def position(self):
        """Where it is among all, for `Messages.page`."""
        return f"{self.posted}_{self.id}"

    @property
    def when(self):
        return datetime.strptime(self.posted, "%Y-%m-%dT%H:%M:%S.%f%z")


@dataclass(frozen=True)
class Page:
    messages: list
    older: str | None
    """The position after which the next page begins; `None` where there is none."""


class Messages:
    """A table. One of these serves all threads."""

    def __init__(self, table, client=None):
        self.table = table
        self.client = client or boto3.client("dynamodb", config=PATIENCE)

    @classmethod
    def from_environment(cls):
        """By `MESSAGES_TABLE`, and by the variables that boto3 reads itself."""
        table = os.environ.get("MESSAGES_TABLE")
        if not table:
            raise SystemExit("MESSAGES_TABLE is not set: it names the DynamoDB table that messages are kept in")
        try:
            return cls(table)
        except NoRegionError as error:
            raise SystemExit(f"AWS_DEFAULT_REGION is not set: {error}") from error

    def add(self, token, name, text, now):
        """Stores a message and returns its id. With the same token, name and text again it changes nothing."""
        id = message_id(token, name, text)
        posted = now.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        item = {"board": BOARD, "id": id, "posted": posted, "name": name, "text": text}
        try:
            self._call(
                self.client.put_item,
                expected="ConditionalCheckFailedException",
                Item={key: {"S": value} for key, value in item.items()},
                ConditionExpression="attribute_not_exists(id)",
            )
        except self.client.exceptions.ConditionalCheckFailedException:
            pass  # It is there: a visitor pressed twice, or a try whose answer was lost had succeeded.
        return id

    def page(self, after=None):
        """A page of messages, newest first: the first, or the one after a position. What is no position counts as none."""
        start = {}
        if after and (position := POSITION.fullmatch(after)):
            posted, id = position.groups()
            start = {"ExclusiveStartKey": {"board": {"S": BOARD}, "posted": {"S": posted}, "id": {"S": id}}}
        found = self._call(
            self.client.query,
            IndexName=NEWEST,
            KeyConditionExpression="board = :board",
            ExpressionAttributeValues={":board": {"S": BOARD}},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=PAGE + 1,
            **start,
        )
        messages = [
            Message(*(item[key]["S"] for key in ("id", "name", "text", "posted"))) for item in found["Items"]
        ]
        shown = messages[:PAGE]
        return Page(shown, shown[-1].position if len(messages) > PAGE else None)

    def ensure(self):
        """Makes the table where there is none. Whether it was made."""
        try:
            self._call(self.client.describe_table, expected="ResourceNotFoundException")
            return False
        except self.client.exceptions.ResourceNotFoundException:
            pass
        try:
            self._call(self.client.create_table, expected="ResourceInUseException", **SCHEMA)
        except self.client.exceptions.ResourceInUseException:
            pass  # Somebody else was first.
        try:
            waiter = self.client.get_waiter("table_exists")
            waiter.wait(TableName=self.table, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        except BotoCoreError as error:
            raise Unavailable(str(error)) from error
        return True

    def _call(self, operation, expected=None, **arguments):
        """Asks the table. A refusal that the caller expects is the caller's; whatever else goes wrong is `Unavailable`."""
        try:
            return operation(TableName=self.table, **arguments)
        except (BotoCoreError, ClientError) as error:
            if expected and isinstance(error, getattr(self.client.exceptions, expected)):
                raise
            raise Unavailable(str(error)) from error


def message_id(token, name, text):
    """A token with another text is another message: who goes back in the browser and writes more loses nothing."""
    return hashlib.sha256("\0".join((token, name, text)).encode()).hexdigest()[:32]


SCHEMA = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("board", "id", "posted")],
    "KeySchema": [
        {"AttributeName": "board", "KeyType": "HASH"},
        {"AttributeName": "id", "KeyType": "RANGE"},
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": NEWEST,
            "KeySchema": [
                {"AttributeName": "board", "KeyType": "HASH"},
                {"AttributeName": "posted", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
