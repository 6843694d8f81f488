"""What a visitor sends, read from the form: an entry, or what is wrong with it. Pure."""

import re
import unicodedata
from dataclasses import dataclass

NAME_MAX = 40
TEXT_MAX = 500
TOKEN = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)


class Mistake(ValueError):
    """Said to the visitor as it stands. `field` is where."""

    def __init__(self, field, message):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Entry:
    token: str
    name: str
    text: str


def parse(form, new_token):
    """Reads a form; one without a token of its own is given a new one."""
    name = " ".join(cleaned(form.get("name", "")).split())
    text = cleaned(form.get("message", "")).strip()
    token = form.get("token") or new_token
    if not can_be_seen(name):
        raise Mistake("name", "Please say who you are.")
    if len(name) > NAME_MAX:
        raise Mistake("name", f"A name has {NAME_MAX} characters at most; this one has {len(name)}.")
    if not can_be_seen(text):
        raise Mistake("message", "Please write something.")
    if len(text) > TEXT_MAX:
        raise Mistake("message", f"A message has {TEXT_MAX} characters at most; this one has {len(text)}.")
    if not TOKEN.fullmatch(token):
        raise Mistake("message", "This form was damaged on its way. Please send it again.")
    return Entry(token, name, text)


def cleaned(text):
    """Without what has no place in a text: control characters, and those that turn the direction of what follows."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or not (unicodedata.category(c) in UNSEEN or c in TURNING))


def can_be_seen(text):
    return any(unicodedata.category(c)[0] in "LMNPS" for c in text)


UNSEEN = frozenset(("Cc", "Cn", "Co", "Cs"))
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
