"""Exact requests, odd answers and every refusal, against recorded HTTP."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import responses
import time_machine
from responses import matchers

import amchelper
from instances.amc.auth import REFRESH_BEFORE
from instances.amc.client import RetryPolicy
from instances.amc.errors import (
    AmcAuthError,
    AmcError,
    AmcForbiddenError,
    AmcMalformedError,
    AmcNotFoundError,
    AmcRejectedError,
    AmcThrottledError,
    AmcUnavailableError,
    AmcUnexpectedError,
)
from instances.amc.throttle import Throttle
from instances.amc.types import AccountRef, InstanceRef
from tests.instances.amc.builders import (
    ACCESS_TOKEN,
    ACCOUNT,
    API,
    CLIENT_ID,
    CLIENT_SECRET,
    GOOD,
    INSTANCE,
    INSTANCE_URL,
    RAW,
    REFRESH_TOKEN,
    TOKEN_URL,
    answers,
    client,
    grants,
    source,
    tokens,
)

PATIENT = RetryPolicy(tries=3, max_wait_seconds=60, connect_timeout=1, read_timeout=1)


@pytest.fixture(autouse=True)
def _recorded() -> Iterator[None]:
    with responses.RequestsMock(assert_all_requests_are_fired=False), responses.mock:
        yield


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the waits instead of waiting."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def test_instance_call_sends_exactly_these_headers() -> None:
    answers(GOOD)
    client().get_instance(INSTANCE)
    sent = dict(responses.calls[0].request.headers)
    assert sent.pop("User-Agent") == f"amc-helper/{amchelper.__version__}"
    assert sent == {
        "Authorization": f"Bearer {ACCESS_TOKEN}",
        "Amazon-Advertising-API-ClientId": CLIENT_ID,
        "Amazon-Advertising-API-AdvertiserId": "ENTITY1EXAMPLE0AB",
        "Amazon-Advertising-API-MarketplaceId": "ATVPDKIKX0DER",
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
    }


def test_account_list_names_no_account() -> None:
    rows = [{"accountId": "ENTITY1", "accountName": "One", "marketplaceId": m} for m in ("M1", "M2")]
    responses.get(f"{API}/amc/accounts", json={"amcAccounts": rows, "nextToken": None})
    found = client().list_accounts()
    assert found.error is None
    assert [account.ref for account in found.rows] == [AccountRef("ENTITY1", "M1"), AccountRef("ENTITY1", "M2")]
    assert not [name for name in responses.calls[0].request.headers if "AdvertiserId" in name]


def test_instance_is_read_wrapped_and_flat_whatever_the_content_type() -> None:
    for body in ({"instance": RAW}, RAW):
        answers((200, json.dumps(body)), **{"Content-Type": "text/html", "x-amz-rid": "RID1"})
        found = client().get_instance(INSTANCE)
        assert (found.instance_id, found.is_usable) == ("amcexample", True)
        assert found.advertiser_types == ("DISPLAY", "SPONSORED_ADS")
        assert (found.call.http_status, found.call.request_id) == (200, "RID1")
        responses.reset()


def test_path_characters_in_an_instance_id_stay_in_their_segment() -> None:
    responses.get(f"{API}/amc/instances/a%2Fb%3Fc", json={"instance": RAW})
    client().get_instance(InstanceRef("a/b?c", ACCOUNT))


def test_all_pages_are_read() -> None:
    url = f"{API}/amc/instances"
    rows = [{**RAW, "instanceId": f"amc{n}"} for n in range(120)]
    first = matchers.query_param_matcher({"limit": "100"})
    second = matchers.query_param_matcher({"limit": "100", "nextToken": "T|1="})
    responses.get(url, json={"instances": rows[:100], "nextToken": "T|1="}, match=[first])
    responses.get(url, json={"instances": rows[100:]}, match=[second])
    found = client().list_instances(ACCOUNT)
    assert found.error is None
    assert [instance.instance_id for instance in found.rows] == [row["instanceId"] for row in rows]


OTHER = {**RAW, "instanceId": "amcother"}
PAGE_ONE = (200, json.dumps({"instances": [RAW], "nextToken": "T1"}))


@pytest.mark.parametrize(
    ("rest", "asked", "words"),
    [
        # The token that was just used.
        ([(200, json.dumps({"instances": [OTHER], "nextToken": "T1"}))], 2, "come to an end"),
        # The first page in place of the second, with a token of its own and without one.
        ([(200, json.dumps({"instances": [RAW], "nextToken": "T2"}))], 2, "same page"),
        ([(200, json.dumps({"instances": [RAW], "nextToken": None}))], 2, "same page"),
        ([(403, '{"code": "403", "details": "Unauthorized request."}')], 2, "Unauthorized"),
        ([(500, "")], 4, "HTTP 500"),
        ([(200, "<html>")], 2, "could not be read"),
        ([(200, "[]")], 2, "not with a list"),
        ([(200, '{"message": "moved"}')], 2, "moved"),
        ([(200, json.dumps({"instances": [OTHER, None]}))], 2, "entries that cannot be read"),
        ([(200, json.dumps({"instances": [OTHER, {"instanceName": "No ID"}]}))], 2, "entries that cannot be read"),
    ],
)
def test_list_that_may_lack_rows_says_why(
    rest: list[tuple[int, str]], asked: int, words: str, naps: list[float]
) -> None:
    count = answers(PAGE_ONE, *rest, url=f"{API}/amc/instances")
    found = client(policy=PATIENT).list_instances(ACCOUNT)
    assert found.rows[0].instance_id == "amcexample"
    assert len({instance.instance_id for instance in found.rows}) == len(found.rows)
    assert found.error is not None
    assert words in found.error.message
    assert count() == asked


def test_rows_that_moved_between_two_pages_come_once() -> None:
    second = {"instances": [RAW, OTHER], "nextToken": None}
    answers(PAGE_ONE, (200, json.dumps(second)), url=f"{API}/amc/instances")
    found = client().list_instances(ACCOUNT)
    assert [instance.instance_id for instance in found.rows] == ["amcexample", "amcother"]
    assert found.error is None


def test_login_that_ends_in_the_middle_of_a_list_is_no_part_of_a_list() -> None:
    answers(PAGE_ONE, (401, ""), url=f"{API}/amc/instances")
    responses.post(TOKEN_URL, status=400, json={"error": "invalid_grant"})
    with pytest.raises(AmcAuthError):
        client().list_instances(ACCOUNT)


def test_accounts_that_lack_what_names_them_are_told(naps: list[float]) -> None:
    rows = [{"accountId": "ENTITY1", "marketplaceId": "M1"}, {"accountId": "ENTITY2"}]
    answers((200, json.dumps({"amcAccounts": rows})), url=f"{API}/amc/accounts")
    found = client().list_accounts()
    assert [account.account_id for account in found.rows] == ["ENTITY1"]
    assert found.error is not None


def test_empty_page_in_the_middle_does_not_end_the_list() -> None:
    empty, full = {"instances": [], "nextToken": "T"}, {"instances": [RAW], "nextToken": ""}
    answers((200, json.dumps(empty)), (200, json.dumps(full)), url=f"{API}/amc/instances")
    found = client().list_instances(ACCOUNT)
    assert (len(found.rows), found.error) == (1, None)


def test_endless_paging_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instances.amc.client._MAX_PAGES", 5)
    pages = [(200, json.dumps({"instances": [], "nextToken": f"T{n}"})) for n in range(50)]
    count = answers(*pages, url=f"{API}/amc/instances")
    with pytest.raises(AmcUnexpectedError, match="come to an end"):
        client().list_instances(ACCOUNT)
    assert count() == 5


@pytest.mark.parametrize("body", ['{"instances": []}', '{"instances": null}'])
def test_empty_list_answers_are_empty_lists(body: str) -> None:
    answers((200, body), url=f"{API}/amc/instances")
    found = client().list_instances(ACCOUNT)
    assert (found.rows, found.error) == ((), None)


NO_LISTS = [
    "<html>",
    "[]",
    '{"instances": 5}',
    '{"other": []}',
    "null",
    '"text"',
    "",
    "{}",
    '{"message": "moved"}',
]


@pytest.mark.parametrize("body", NO_LISTS)
def test_lists_of_another_shape_are_malformed(body: str) -> None:
    answers((200, body), url=f"{API}/amc/instances")
    with pytest.raises(AmcMalformedError):
        client().list_instances(ACCOUNT)


@pytest.mark.parametrize("body", ["<html>", "{", "[" * 100_000, "\xff"])
def test_answer_that_cannot_be_read_is_malformed(body: str) -> None:
    answers((200, body))
    with pytest.raises(AmcMalformedError) as caught:
        client().get_instance(INSTANCE)
    assert caught.value.reason == "malformed_response"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", ""),
        ("{}", ""),
        ("null", ""),
        ("[1]", ""),
        ('{"instance": null}', ""),
        ('{"instance": {"creationStatus": "COMPLETED"}}', ""),
        ('{"message": "This service is being moved"}', "Amazon says: This service is being moved"),
        ('{"details": {"a": 1}, "message": "sent Atza|secret on"}', "Amazon says: sent [token] on"),
    ],
)
def test_answer_about_something_else_is_unexpected(body: str, words: str) -> None:
    answers((200, body))
    with pytest.raises(AmcUnexpectedError) as caught:
        client().get_instance(INSTANCE)
    assert caught.value.reason == "unexpected_answer"
    assert caught.value.message.startswith("Amazon answered, but not with a description of the instance.")
    assert words in caught.value.message


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", '{"message": "moved"}', '{"workflows": {}}', '{"workflows": "x"}']
)
def test_reporting_rights_are_proved_by_a_list_only(body: str) -> None:
    answers((200, body), url=f"{API}/amc/reporting/amcexample/workflows")
    with pytest.raises(AmcUnexpectedError):
        client().check_reporting(INSTANCE)


def test_huge_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instances.amc.responses._MAX_BODY_BYTES", 1000)
    answers((200, "x" * 1001))
    with pytest.raises(AmcMalformedError, match="larger"):
        client().get_instance(INSTANCE)


def test_reporting_check_asks_for_one_workflow() -> None:
    query = matchers.query_param_matcher({"limit": "1"})
    responses.get(f"{API}/amc/reporting/amcexample/workflows", json={"workflows": []}, match=[query])
    assert client().check_reporting(INSTANCE).http_status == 200


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason", "words"),
    [
        (400, '{"code":"400","details":"entityId provided is null"}', AmcRejectedError, "bad_request", "is null"),
        (406, "", AmcRejectedError, "bad_request", "406"),
        (415, "<html>", AmcRejectedError, "bad_request", "415"),
        (422, '{"message":"odd limit"}', AmcRejectedError, "bad_request", "odd limit"),
        (302, "", AmcRejectedError, "bad_request", "302"),
        (410, "", AmcRejectedError, "gone", "off"),
        (403, '{"code":"403","details":"Unauthorized request."}', AmcForbiddenError, "forbidden", "Unauthorized"),
        (
            403,
            '{"message":"Terms and conditions must be accepted to continue"}',
            AmcForbiddenError,
            "terms_required",
            "Accept",
        ),
        (404, "", AmcNotFoundError, "not_found", "marketplace"),
        (400, '{"details":"Workflow with ID x does not exist"}', AmcNotFoundError, "not_found", "x does not"),
    ],
)
def test_refusals_are_told_apart_and_not_repeated(
    status: int, body: str, kind: type[AmcError], reason: str, words: str
) -> None:
    count = answers((status, body), **{"x-amz-request-id": "RID9"})
    with pytest.raises(kind) as caught:
        client(policy=PATIENT).get_instance(INSTANCE)
    error = caught.value
    assert (error.reason, error.transient) == (reason, False)
    assert words in error.message
    assert error.call is not None
    assert (error.call.http_status, error.call.request_id) == (status, "RID9")
    assert count() == 1


def test_redirect_is_not_followed_with_a_token() -> None:
    answers((307, ""), Location="https://example.com/collect")
    with pytest.raises(AmcRejectedError):
        client().get_instance(INSTANCE)
    assert len(responses.calls) == 1


def test_characters_no_header_can_hold_stay_in_the_family() -> None:
    for entity in ("ENTITY日", "ENTITY\r\nX: y"):
        with pytest.raises(AmcRejectedError):
            client().get_instance(InstanceRef("amcexample", AccountRef(entity, "M")))


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", ['{"message":"Endpoint request timed out"}', "<html>", ""])
def test_server_error_is_repeated_and_then_reported(status: int, body: str, naps: list[float]) -> None:
    count = answers((status, body))
    with pytest.raises(AmcUnavailableError) as caught:
        client(policy=PATIENT).get_instance(INSTANCE)
    assert (caught.value.reason, caught.value.transient) == ("upstream_error", True)
    assert count() == 3


def test_server_error_that_passes_is_not_noticed(naps: list[float]) -> None:
    answers((502, "<html>"), GOOD)
    assert client(policy=PATIENT).get_instance(INSTANCE).is_usable


@pytest.mark.parametrize("body", ['{"message":"Too Many Requests"}', "<html>slow down</html>"])
def test_throttling_without_a_time_backs_off_with_jitter(body: str, naps: list[float]) -> None:
    count = answers((429, body))
    with pytest.raises(AmcThrottledError) as caught:
        client(policy=PATIENT).get_instance(INSTANCE)
    assert caught.value.retry_after is None
    assert (caught.value.reason, count()) == ("throttled", 3)


@pytest.mark.parametrize(("header", "seconds"), [("120", 120), ("99999", 900), ("-5", None), ("soon", None)])
def test_wait_beyond_patience_fails_at_once(header: str, seconds: float | None, naps: list[float]) -> None:
    count = answers((429, ""), **{"Retry-After": header})
    with pytest.raises(AmcThrottledError) as caught:
        client(policy=RetryPolicy(3, 0.0, 1, 1)).get_instance(INSTANCE)
    assert caught.value.retry_after == seconds
    assert (count(), naps) == (1, [])


def test_throttled_call_stops_others_of_the_same_login() -> None:
    throttle = Throttle()
    count = answers((429, ""), **{"Retry-After": "300"})
    for _ in range(3):
        with pytest.raises(AmcThrottledError) as caught:
            client(throttle=throttle).get_instance(INSTANCE)
        assert caught.value.retry_after == pytest.approx(300, abs=2)
    assert count() == 1


def test_rejected_token_is_refreshed_once_and_the_call_repeated() -> None:
    grants()
    count = answers((401, '{"code":"401","details":"Unauthorized"}'), GOOD)
    held = source(tokens())
    assert client(held).get_instance(INSTANCE).is_usable
    assert held.refreshed
    assert count() == 2
    assert responses.calls[-1].request.headers["Authorization"] == "Bearer Atza|second-access-token"


def test_token_rejected_again_after_the_refresh_is_reported() -> None:
    grants()
    count = answers((401, "UNAUTHORIZED"))
    with pytest.raises(AmcAuthError) as caught:
        client().get_instance(INSTANCE)
    assert caught.value.reason == "unauthenticated"
    assert count() == 2
    assert len([call for call in responses.calls if call.request.url == TOKEN_URL]) == 1


def test_refusal_with_an_old_token_is_worth_one_refresh() -> None:
    grants(expires_in=24 * 3600)
    count = answers(GOOD, (403, '{"details":"Unauthorized request."}'), GOOD)
    held = source()
    with client(held) as calls:
        calls.get_instance(INSTANCE)
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=56), tick=True):
            assert calls.get_instance(INSTANCE).is_usable
    assert count() == 3
    assert len([call for call in responses.calls if call.request.url == TOKEN_URL]) == 2


def test_refusal_with_a_young_token_is_final() -> None:
    count = answers((403, '{"details":"Unauthorized request."}'))
    with pytest.raises(AmcForbiddenError):
        client(source(tokens(minutes=REFRESH_BEFORE.seconds / 60 + 1))).get_instance(INSTANCE)
    assert count() == 1


def test_no_token_or_secret_in_logs_and_messages(caplog: pytest.LogCaptureFixture) -> None:
    grants()
    echo = json.dumps({"details": f"bad token {ACCESS_TOKEN} or {REFRESH_TOKEN}"})
    answers((401, echo), (400, echo))
    with caplog.at_level(logging.DEBUG), pytest.raises(AmcRejectedError) as caught:
        client().get_instance(INSTANCE)
    seen = caplog.text + caught.value.message + repr(caught.value) + repr(source(tokens()))
    assert "status=400" in caplog.text
    assert "path=/amc/instances/amcexample" in caplog.text
    for secret in (ACCESS_TOKEN, REFRESH_TOKEN, CLIENT_SECRET, "second-access-token"):
        assert secret not in seen


def test_cookies_are_not_kept() -> None:
    count = answers(GOOD, **{"Set-Cookie": "session=abc; Path=/"})
    with client() as calls:
        calls.get_instance(INSTANCE)
        calls.get_instance(INSTANCE)
    assert count() == 2
    assert "Cookie" not in responses.calls[1].request.headers


def test_proxies_of_the_environment_are_used_and_netrc_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine advertising-api.amazon.com login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    answers(GOOD)
    client().get_instance(INSTANCE)
    sent: Any = responses.calls[0].request
    assert sent.req_kwargs["proxies"]["https"] == "http://proxy.example.com:3128"
    assert sent.headers["Authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert sent.url == INSTANCE_URL
