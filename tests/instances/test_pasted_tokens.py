"""A refresh token is found in whatever it was copied from; what is none is told, and never repeated."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.services.pasted_tokens import PastedTokenError, read_refresh_token

TOKEN = "Atzr|IwEBIA_x-9.long~enough/for+everybody=="
ANSWER = {"access_token": "Atza|secret-access", "refresh_token": TOKEN, "token_type": "bearer", "expires_in": 3600}


@pytest.mark.parametrize(
    "pasted",
    [
        TOKEN,
        f"  {TOKEN}\r\n",
        f'"{TOKEN}"',
        f"'{TOKEN}'",
        f"“{TOKEN}”",
        f"`{TOKEN}`",
        f'"{TOKEN}",',
        f"refresh_token={TOKEN}",
        f"refresh_token = '{TOKEN}'",
        f'export AMAZON_REFRESH_TOKEN="{TOKEN}";',
        f"Refresh token: {TOKEN}",
        f'"refresh_token": "{TOKEN}",',
        f"REFRESH_TOKEN={TOKEN}\nCLIENT_ID=amzn1.application-oa2-client.0123",
        json.dumps(ANSWER),
        json.dumps(ANSWER, indent=2),
        json.dumps({"login": [ANSWER]}),
        json.dumps(ANSWER).replace("|", "\\u007c"),
        '"refresh_token": "' + TOKEN.replace("|", "\\u007C") + '"',
        TOKEN.replace("|", "%7C"),
        TOKEN.replace("|", "%7c").replace("/", "%2F").replace("+", "%2B").replace("=", "%3D"),
        TOKEN.replace("|", "%257C"),
        f"grant_type=refresh_token&refresh_token={TOKEN.replace('|', '%7C')}&client_id=amzn1.client",
        f"{TOKEN[:20]}\n  {TOKEN[20:]}",
        f"{TOKEN}\n{TOKEN}",
    ],
)
def test_token_is_found(pasted: str) -> None:
    assert read_refresh_token(pasted) == TOKEN


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("Atza|secret-access", "an access token, which ends after an hour"),
        ("Atza%7Csecret-access", "an access token"),
        (json.dumps({"access_token": "Atza|secret-access"}), "an access token"),
        ("Atc|secret-client", "a client's token"),
        ("amzn1.application-oa2-client.secret", "the ID of a client"),
        ("", "one starts with Atzr|"),
        ("secret", "one starts with Atzr|"),
        ("Atzr|", "one starts with Atzr|"),
        ("Atzr", "one starts with Atzr|"),
        ("xAtzr|secret", "one starts with Atzr|"),
        ("{" * 100_000, "one starts with Atzr|"),
        ("Atzr|secret and more", "has no spaces or special characters"),
        ("Atzr|secrét", "has no spaces or special characters"),
        ("Atzr|secret<b>", "has no spaces or special characters"),
        ("Atzr|secret Atzr|other", "several refresh tokens"),
    ],
)
def test_what_is_none_is_told(pasted: str, words: str) -> None:
    with pytest.raises(PastedTokenError, match=words.replace("|", r"\|")) as caught:
        read_refresh_token(pasted)
    assert "secr" not in caught.value.message


@given(st.text())
def test_any_text_is_read_or_refused(pasted: str) -> None:
    with suppress(PastedTokenError):
        assert read_refresh_token(pasted).startswith("Atzr|")
