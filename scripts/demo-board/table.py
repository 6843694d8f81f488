"""What is in the board's table, read from the server itself and not through the board."""

import http.client
import json

HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.Scan",
    "X-Amz-Date": "20300101T000000Z",
    # The demo's server wants to be told who asks, and believes it.
    "Authorization": "AWS4-HMAC-SHA256 Credential=demo/20300101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
}


def texts(address, table):
    """The text of every message."""
    texts, start = [], {}
    while True:
        connection = http.client.HTTPConnection(*address, timeout=60)
        body = json.dumps({"TableName": table, "ConsistentRead": True, **start})
        connection.request("POST", "/", body, HEADERS)
        answer = json.load(connection.getresponse())
        connection.close()
        if "Items" not in answer:
            raise SystemExit(f"the table cannot be read: {answer}")
        texts += [item["text"]["S"] for item in answer["Items"]]
        if not (last := answer.get("LastEvaluatedKey")):
            return texts
        start = {"ExclusiveStartKey": last}
