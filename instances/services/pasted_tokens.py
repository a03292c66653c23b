"""Find the refresh token in what somebody pasted: alone, in quotes, in a setting, a form or a JSON answer.

No message holds anything of the text: it may be a secret whatever it looks like.
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

from amchelper.exceptions import AmcHelperError

# A whole answer of the token endpoint, with a token of each kind.
MAX_PASTED_CHARACTERS = 8_192
_TOKEN = re.compile(r"(?<![A-Za-z0-9])Atzr\|[A-Za-z0-9._~+/=-]+")
# What may follow a token that was copied whole: the end, or what closes a value.
_CLOSING = frozenset("\"'`”’»“‘,;&}])\r\n")
# A mail or a terminal broke the line: what follows is nothing but the rest of a token.
_BROKEN_LINE = re.compile(r"[\r\n]+[ \t]*(?=[A-Za-z0-9._~+/-]+=*[ \t]*(?:[\r\n]|$))")
_ENCODED_BAR = re.compile(r"%(?:25)*7C", re.IGNORECASE)
_MAX_ENCODINGS = 3


class PastedTokenError(AmcHelperError):
    """What was pasted holds no refresh token that could be sent to Amazon."""

    code = "pasted_token"
    http_status = 422


def read_refresh_token(pasted: str) -> str:
    """Return the refresh token in a text; raises PastedTokenError, without asking Amazon, when there is none."""
    text = _unwrapped(pasted)
    found = list(_TOKEN.finditer(text))
    if not found:
        raise PastedTokenError(_what_it_is(text))
    if len({match.group() for match in found}) > 1:
        raise PastedTokenError("There are several refresh tokens in this text. Paste one of them.")
    rest = text[found[-1].end() :]
    if rest and rest[0] not in _CLOSING:
        raise PastedTokenError("A refresh token has no spaces or special characters. Copy it again, whole.")
    return found[0].group()


def _unwrapped(pasted: str) -> str:
    """Return a text without broken lines, and without the escapes of JSON and of addresses."""
    text = pasted.strip()
    try:
        text = json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        text = _BROKEN_LINE.sub("", text).replace("\\u007c", "|").replace("\\u007C", "|")
    for _ in range(_MAX_ENCODINGS):
        if not _ENCODED_BAR.search(text):
            break
        text = unquote(text)
    return text


def _what_it_is(text: str) -> str:
    if re.search(r"(?<![A-Za-z0-9])Atza\|", text):
        return "This is an access token, which ends after an hour. A refresh token starts with Atzr|."
    if re.search(r"(?<![A-Za-z0-9])Atc\|", text):
        return "This is a client's token, which belongs to no login. A refresh token starts with Atzr|."
    if re.search(r"(?<![A-Za-z0-9])amzn1\.", text):
        return "This is the ID of a client or an application. A refresh token starts with Atzr|."
    return "This is no refresh token: one starts with Atzr|. Copy it again, whole, from where it was issued."
