"""Makes the table where there is none. The release command: runs before a deployment's first instance, maybe twice."""

import sys

from messages import Messages, Unavailable


def main():
    messages = Messages.from_environment()
    try:
        was_made = messages.ensure()
    except Unavailable as error:
        print(f"the table {messages.table} cannot be reached: {error}", file=sys.stderr)
        return 1
    print(f"the table {messages.table} {'was made' if was_made else 'is there'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
