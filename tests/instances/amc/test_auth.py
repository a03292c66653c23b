"""Consent, codes, refreshes and refusals of Login with Amazon."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from instances.amc.auth import LoginClient, Tokens, TokenSource, pkce_pair
from instances.amc.errors import (
    AmcAuthError,
    AmcCredentialsError,
    AmcError,
    AmcHostError,
    AmcMalformedError,
    AmcThrottledError,
    AmcUnavailableError,
    AmcUnexpectedError,
)
from instances.amc.hosts import Hosts
from tests.instances.amc.builders import (
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    TOKEN_URL,
    grants,
    login,
    source,
    tokens,
)

BACK = "https://app.example.com/connections/callback"


@pytest.fixture(autouse=True)
def _recorded() -> Iterator[None]:
    with responses.mock:
        yield


def sent_form() -> dict[str, list[str]]:
    return parse_qs(str(responses.calls[-1].request.body))


def test_consent_address_carries_state_and_pkce_and_no_secret() -> None:
    url = login().authorize_url(BACK, "the state", "the-challenge")
    assert url.startswith("https://www.amazon.com/ap/oa?")
    assert parse_qs(urlsplit(url).query) == {
        "client_id": [CLIENT_ID],
        "scope": ["advertising::campaign_management"],
        "response_type": ["code"],
        "redirect_uri": [BACK],
        "state": ["the state"],
        "code_challenge": ["the-challenge"],
        "code_challenge_method": ["S256"],
    }


def test_pkce_challenge_is_the_hash_of_the_verifier() -> None:
    verifier, challenge = pkce_pair()
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    assert challenge == digest
    assert 43 <= len(verifier) <= 128
    assert pkce_pair()[0] != verifier


def test_code_is_exchanged_with_the_verifier_as_a_form() -> None:
    grants("Atza|first")
    found = login().exchange_code("ANcode", BACK, "the-verifier")
    request = responses.calls[0].request
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in request.headers
    assert sent_form() == {
        "grant_type": ["authorization_code"],
        "code": ["ANcode"],
        "redirect_uri": [BACK],
        "code_verifier": ["the-verifier"],
        "client_id": [CLIENT_ID],
        "client_secret": [CLIENT_SECRET],
    }
    assert (found.access_token, found.refresh_token) == ("Atza|first", REFRESH_TOKEN)
    assert abs(found.expires_at - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=10)


def test_refresh_sends_the_token_unharmed() -> None:
    grants()
    login().refresh("Atzr|with|bars+and/more==")
    assert sent_form()["refresh_token"] == ["Atzr|with|bars+and/more=="]


def test_refresh_without_a_refresh_token_in_the_answer_keeps_the_old() -> None:
    grants(refresh_token=None)
    assert login().refresh(REFRESH_TOKEN).refresh_token == REFRESH_TOKEN


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (400, '{"error": "invalid_grant"}', AmcAuthError, "reconnect_required"),
        (401, '{"error": "invalid_client"}', AmcCredentialsError, "credentials_misconfigured"),
        (400, '{"error": "invalid_client"}', AmcCredentialsError, "credentials_misconfigured"),
        (400, '{"error": "unauthorized_client"}', AmcCredentialsError, "credentials_misconfigured"),
        (400, '{"error": "invalid_scope"}', AmcCredentialsError, "credentials_misconfigured"),
        (400, "<html>", AmcCredentialsError, "credentials_misconfigured"),
        (302, "", AmcCredentialsError, "credentials_misconfigured"),
        (429, "<html>", AmcThrottledError, "throttled"),
        (500, '{"error": "server_error"}', AmcUnavailableError, "upstream_error"),
        (503, "", AmcUnavailableError, "upstream_error"),
        (200, "<html>", AmcMalformedError, "malformed_response"),
        (200, "{}", AmcUnexpectedError, "unexpected_answer"),
        (200, "", AmcUnexpectedError, "unexpected_answer"),
        (200, '{"message": "moved"}', AmcUnexpectedError, "unexpected_answer"),
        (200, '{"access_token": {"a": 1}}', AmcUnexpectedError, "unexpected_answer"),
    ],
)
def test_refusals_of_the_token_endpoint(status: int, body: str, kind: type[AmcError], reason: str) -> None:
    responses.post(TOKEN_URL, status=status, body=body)
    with pytest.raises(kind) as caught:
        login().refresh(REFRESH_TOKEN)
    assert caught.value.reason == reason
    assert caught.value.call is not None
    assert CLIENT_SECRET not in caught.value.message


def test_secret_goes_to_no_other_host() -> None:
    elsewhere = Hosts("https://example.com", "https://example.com/ap/oa", "https://example.com/auth/o2/token")
    with pytest.raises(AmcHostError):
        LoginClient(elsewhere, CLIENT_ID, CLIENT_SECRET).refresh(REFRESH_TOKEN)
    assert len(responses.calls) == 0


@pytest.mark.parametrize("odd", [None, "", "soon", -5, "3600"])
def test_odd_lifetimes_do_no_harm(odd: object) -> None:
    grants(expires_in=odd)
    assert login().refresh(REFRESH_TOKEN).expires_at.tzinfo is UTC


def test_fresh_token_is_used_without_a_call() -> None:
    held = source(tokens("Atza|held", minutes=6))
    assert held.access_token() == "Atza|held"
    assert not held.refreshed


def test_token_with_less_than_five_minutes_is_refreshed() -> None:
    grants("Atza|new")
    held = source(tokens("Atza|held", minutes=4))
    assert held.access_token() == "Atza|new"
    assert held.refreshed
    assert held.current is not None
    assert held.current.access_token == "Atza|new"
    assert held.age_seconds < 10


def test_renewal_for_a_token_that_was_replaced_meanwhile_asks_nobody() -> None:
    held = source(tokens("Atza|current"))
    assert held.renew("Atza|older") == "Atza|current"
    assert len(responses.calls) == 0


def test_rotated_refresh_token_is_used_next() -> None:
    grants("Atza|new", refresh_token="Atzr|rotated")
    held = source()
    held.renew(held.access_token())
    assert sent_form()["refresh_token"] == ["Atzr|rotated"]


def test_representations_and_logs_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    grants("Atza|new")
    held = source()
    with caplog.at_level(logging.DEBUG):
        held.access_token()
    assert "grant=refresh_token" in caplog.text
    seen = caplog.text + repr(held) + repr(held.current) + str(held.current) + repr(held.login)
    for secret in ("Atza|", "Atzr|", CLIENT_SECRET):
        assert secret not in seen


def test_tokens_are_redacted_inside_other_things() -> None:
    inner = Tokens("Atza|x", "Atzr|y", datetime.now(UTC))
    assert "At" not in repr([inner]).replace("<Tokens until", "")
    assert isinstance(TokenSource(login(), "Atzr|z", inner), TokenSource)
