"""Exactly one execution per run, whatever becomes of the answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from instances.amc.auth import Tokens
from instances.amc.client import AmcClient, RetryPolicy
from instances.amc.errors import (
    AmcAuthError,
    AmcError,
    AmcLimitError,
    AmcOutcomeUnknownError,
    AmcRejectedError,
    AmcThrottledError,
    AmcTimeoutError,
    AmcUnavailableError,
)
from instances.amc.reporting import VISIBILITY
from instances.amc.throttle import Throttle
from tests.instances.amc.builders import INSTANCE, client, source, tokens
from tests.instances.amc_reporting.builders import OWN_ID, SQL, ago, request, shown
from tests.instances.amc_reporting.loopback import TinyAmc, tiny_amc

# Long enough for a busy machine wherever an answer is expected, short where silence is.
SHORT = RetryPolicy(tries=3, max_wait_seconds=8, connect_timeout=10, read_timeout=2)
# An attempt this old is settled: what it created would be shown by now.
LONG_AGO = VISIBILITY + timedelta(seconds=5)


class Login:
    """A login that grants without asking anybody."""

    def __init__(self) -> None:
        self.renewed: list[str] = []

    def refresh(self, refresh_token: str) -> Tokens:
        self.renewed.append(refresh_token)
        return tokens("Atza|second")


@pytest.fixture
def amc() -> Iterator[TinyAmc]:
    with tiny_amc() as server:
        yield server


@pytest.fixture
def calls(amc: TinyAmc) -> Iterator[AmcClient]:
    with client(local_url=amc.url, policy=SHORT) as opened:
        yield opened


LOST_ANSWERS = ["reset", "hang", "truncated", "500", "502", "503", "504", "empty", "garbage", "no_id"]


def test_plain_answer_needs_no_lookup(amc: TinyAmc, calls: AmcClient) -> None:
    created = calls.create_execution(INSTANCE, request())
    assert (created.execution_id, created.workflow_id, created.is_open) == ("exec-1", OWN_ID, True)
    assert [method for method, _, _ in amc.requests] == ["POST"]


@pytest.mark.parametrize("fault", LOST_ANSWERS)
def test_run_whose_answer_got_lost_is_adopted(amc: TinyAmc, calls: AmcClient, fault: str) -> None:
    amc.post_faults = [fault]
    assert calls.create_execution(INSTANCE, request()).execution_id == "exec-1"
    assert (len(amc.runs), amc.count("POST", "workflowExecutions")) == (1, 1)


@pytest.mark.parametrize("fault", LOST_ANSWERS)
def test_run_that_is_not_shown_yet_leaves_the_outcome_open(amc: TinyAmc, calls: AmcClient, fault: str) -> None:
    amc.post_faults, amc.is_hiding = [fault], True
    began = datetime.now(UTC)
    with pytest.raises(AmcOutcomeUnknownError) as caught:
        calls.create_execution(INSTANCE, request())
    error = caught.value
    assert error.transient
    assert error.retry_after == 45
    assert error.__cause__ is not None
    assert calls.find_execution(INSTANCE, request(), attempted_at=began) is None

    amc.is_hiding = False
    found = calls.find_execution(INSTANCE, request(), attempted_at=began)
    assert found is not None
    assert found.execution_id == "exec-1"
    assert (len(amc.runs), amc.count("POST", "workflowExecutions")) == (1, 1)


def test_request_that_amazon_lost_is_not_found(amc: TinyAmc, calls: AmcClient) -> None:
    amc.post_faults = ["lost_504"]
    began = datetime.now(UTC)
    with pytest.raises(AmcOutcomeUnknownError):
        calls.create_execution(INSTANCE, request())
    assert calls.find_execution(INSTANCE, request(), attempted_at=began) is None
    assert amc.count("POST", "workflowExecutions") == 1
    assert calls.create_execution(INSTANCE, request()).execution_id == "exec-1"
    assert (len(amc.runs), amc.count("POST", "workflowExecutions")) == (1, 2)


def test_earlier_attempt_is_found_whatever_became_of_the_run(amc: TinyAmc, calls: AmcClient) -> None:
    amc.runs = [shown("exec-7", createTime=f"{ago(minutes=10):%Y-%m-%dT%H:%M:%S}Z", status="CANCELLED")]
    found = calls.find_execution(INSTANCE, request(), attempted_at=ago(minutes=10))
    assert found is not None
    assert (found.execution_id, found.status) == ("exec-7", "CANCELLED")
    assert amc.count("POST", "") == 0


def test_earlier_attempt_is_found_although_our_clock_is_ahead(amc: TinyAmc, calls: AmcClient) -> None:
    amc.runs = [shown("exec-7", createTime=f"{ago(minutes=14):%Y-%m-%dT%H:%M:%S}Z")]
    found = calls.find_execution(INSTANCE, request(), attempted_at=ago(minutes=10))
    assert found is not None
    assert found.execution_id == "exec-7"


@pytest.mark.parametrize("fault", ["reset", "500", "403", "429", "empty", "loop"])
def test_lookup_that_fails_does_not_mean_that_there_is_no_run(amc: TinyAmc, fault: str) -> None:
    amc.list_faults = [fault] * 10
    with client(local_url=amc.url) as hasty, pytest.raises(AmcError):
        hasty.find_execution(INSTANCE, request(), attempted_at=datetime.now(UTC) - LONG_AGO)
    assert amc.count("POST", "") == 0


def test_lookup_that_fails_after_a_lost_answer_leaves_the_outcome_open(amc: TinyAmc) -> None:
    amc.post_faults, amc.list_faults = ["504"], ["500"] * 10
    began = datetime.now(UTC)
    with client(local_url=amc.url) as hasty:
        with pytest.raises(AmcOutcomeUnknownError) as caught:
            hasty.create_execution(INSTANCE, request())
        assert caught.value.retry_after is not None
        amc.list_faults = []
        found = hasty.find_execution(INSTANCE, request(), attempted_at=began)
    assert found is not None
    assert (found.execution_id, len(amc.runs)) == ("exec-1", 1)


def test_throttled_post_is_repeated_because_nothing_was_created(amc: TinyAmc, calls: AmcClient) -> None:
    amc.post_faults = ["throttled"]
    assert calls.create_execution(INSTANCE, request()).execution_id == "exec-1"
    assert [method for method, _, _ in amc.requests] == ["POST", "POST"]


def test_throttling_to_the_end_is_no_unknown_outcome(amc: TinyAmc) -> None:
    amc.post_faults = ["throttled"] * 5
    with client(local_url=amc.url) as hasty, pytest.raises(AmcThrottledError):
        hasty.create_execution(INSTANCE, request())
    assert amc.count("GET", "") == 0


def test_waiting_before_a_post_is_short_even_for_a_patient_worker() -> None:
    patient = RetryPolicy(tries=5, max_wait_seconds=120, connect_timeout=5, read_timeout=60)
    assert patient.wait_limit("GET") == 120
    # All waits, one answer's time and AMC's 45 s fit into the time after which a run counts as missing.
    assert 3 * patient.wait_limit("POST") + 45 + 30 < VISIBILITY.total_seconds()


def test_post_whose_turn_comes_too_late_is_not_sent(amc: TinyAmc) -> None:
    throttle = Throttle()
    throttle.throttled(0.3)
    with client(local_url=amc.url, policy=SHORT, throttle=throttle) as calls:
        with pytest.raises(AmcTimeoutError) as caught:
            calls.create_execution(INSTANCE, request(), send_before=ago(seconds=-0.2))
        assert (amc.requests, caught.value.transient, caught.value.outcome_unknown) == ([], True, False)
        assert calls.create_execution(INSTANCE, request(), send_before=ago(seconds=-5)).execution_id == "exec-1"


@pytest.mark.parametrize("fault", ["slow_throttled", "slow_unauthorized"])
def test_post_that_would_be_repeated_too_late_is_not_sent_again(amc: TinyAmc, fault: str) -> None:
    amc.post_faults = [fault]
    held = source(tokens(), amc.url)
    held.login = Login()  # type: ignore[assignment]
    with client(held, local_url=amc.url, policy=SHORT) as calls:
        with pytest.raises(AmcTimeoutError) as caught:
            calls.create_execution(INSTANCE, request(), send_before=ago(seconds=-0.25))
        assert [method for method, _, _ in amc.requests] == ["POST"]
        assert (amc.runs, caught.value.outcome_unknown) == ([], False)


def test_rejected_token_is_refreshed_once_and_the_post_repeated(amc: TinyAmc) -> None:
    amc.post_faults = ["unauthorized"]
    login = Login()
    held = source(tokens(), amc.url)
    held.login = login  # type: ignore[assignment]
    with client(held, local_url=amc.url) as calls:
        assert calls.create_execution(INSTANCE, request()).execution_id == "exec-1"
        assert len(login.renewed) == 1
        amc.post_faults = ["unauthorized", "unauthorized"]
        with pytest.raises(AmcAuthError):
            calls.create_execution(INSTANCE, request(workflow_id="another"))
    assert (len(amc.runs), amc.count("GET", "")) == (1, 0)


def test_connection_that_was_never_made_is_no_unknown_outcome() -> None:
    with tiny_amc() as gone:
        url = gone.url
    once = RetryPolicy(tries=1, max_wait_seconds=0, connect_timeout=1, read_timeout=1)
    with client(local_url=url, policy=once) as calls, pytest.raises(AmcUnavailableError) as caught:
        calls.create_execution(INSTANCE, request())
    assert not caught.value.outcome_unknown


def test_limit_is_told_apart_from_a_refusal(amc: TinyAmc, calls: AmcClient) -> None:
    amc.post_faults = ["limit"]
    with pytest.raises(AmcLimitError) as caught:
        calls.create_execution(INSTANCE, request())
    assert (caught.value.transient, caught.value.reason) == (True, "execution_limit")
    assert caught.value.retry_after
    assert "reached your execution limit" in caught.value.message
    assert amc.count("GET", "") == 0


def test_refusal_without_its_words_is_still_a_refusal(amc: TinyAmc, calls: AmcClient) -> None:
    amc.post_faults = ["refused_broken"]
    with pytest.raises(AmcRejectedError):
        calls.create_execution(INSTANCE, request())
    assert amc.count("GET", "") == 0


def test_run_that_got_an_id_of_amazons_is_found_by_what_it_runs(amc: TinyAmc, calls: AmcClient) -> None:
    amc.keeps_our_ids, amc.post_faults = False, ["504"]
    found = calls.create_execution(INSTANCE, request(parameter_values={"asins": ["B01"], "days": 7}))
    assert (found.execution_id, found.workflow_id) == ("exec-1", "transient_0")
    assert amc.count("POST", "") == 1


@pytest.mark.parametrize(
    "difference",
    [
        {"sqlQuery": "SELECT 2"},
        {"timeWindowEndOriginal": "2026-10-31T00:00:00"},
        {"timeWindowTimeZoneOriginal": "UTC"},
        {"parameterValues": {"asins": ["B02"]}},
        {"workflowId": "amchelper-of-another-run"},
        {"dryRun": True},
        {"workflowExecutionTimeoutSeconds": 900},
    ],
)
def test_run_that_differs_is_not_adopted(amc: TinyAmc, calls: AmcClient, difference: dict[str, object]) -> None:
    amc.runs = [{**shown("exec-9", workflowId="transient_9", sqlQuery=SQL), **difference}]
    assert calls.find_execution(INSTANCE, request(), attempted_at=datetime.now(UTC)) is None


def test_run_is_recognised_whatever_became_of_white_space_and_the_window(amc: TinyAmc, calls: AmcClient) -> None:
    reshaped = shown(
        "exec-9", workflowId="transient_9", sqlQuery=" ".join(SQL.split()) + " ;", timeWindowStartOriginal=None
    )
    amc.runs = [{**reshaped, "parameterValues": {"days": "7"}}]
    asked = request(parameter_values={"days": 7})
    found = calls.find_execution(INSTANCE, asked, attempted_at=datetime.now(UTC))
    assert found is not None
    assert found.execution_id == "exec-9"


def test_run_that_belongs_to_another_is_not_adopted(amc: TinyAmc, calls: AmcClient) -> None:
    amc.runs = [
        shown("exec-8", workflowId="transient_8", sqlQuery=SQL),
        shown("exec-9", workflowId="transient_9", sqlQuery=SQL),
    ]
    now = datetime.now(UTC)
    found = calls.find_execution(INSTANCE, request(), attempted_at=now, exclude_ids={"exec-8"})
    assert found is not None
    assert found.execution_id == "exec-9"
    assert calls.find_execution(INSTANCE, request(), attempted_at=now, exclude_ids={"exec-8", "exec-9"}) is None


def test_of_several_matches_the_oldest_is_adopted_and_a_warning_left(
    amc: TinyAmc, calls: AmcClient, caplog: pytest.LogCaptureFixture
) -> None:
    times = {"exec-young": 1, "exec-old": 3, "exec-middle": 2}
    amc.runs = [
        shown(name, createTime=f"{ago(minutes=minutes):%Y-%m-%dT%H:%M:%S}Z") for name, minutes in times.items()
    ]
    amc.runs.append(shown("exec-without-time") | {"createTime": "~"})
    with caplog.at_level(logging.WARNING):
        found = calls.find_execution(INSTANCE, request(), attempted_at=ago(minutes=3))
    assert found is not None
    assert found.execution_id == "exec-old"
    assert "exists several times" in caplog.text


def test_filter_that_amazon_ignores_adopts_no_other_run(amc: TinyAmc, calls: AmcClient) -> None:
    amc.runs = [shown("exec-5", workflowId="amchelper-of-another-run")]
    amc.listed = lambda query: amc.runs  # type: ignore[method-assign]
    assert calls.find_execution(INSTANCE, request(), attempted_at=datetime.now(UTC)) is None


def test_dry_run_is_never_taken_for_the_run(amc: TinyAmc, calls: AmcClient) -> None:
    for keeps in (True, False):
        amc.keeps_our_ids = keeps
        for seconds in (900, 21600):
            asked = request(timeout_seconds=seconds)
            calls.validate(INSTANCE, asked)
            assert calls.find_execution(INSTANCE, asked, attempted_at=datetime.now(UTC)) is None
    with pytest.raises(ValueError, match="validate"):
        calls.create_execution(INSTANCE, request(dry_run=True))


def test_validation_says_that_amazon_failed_without_looking_for_a_run(amc: TinyAmc, calls: AmcClient) -> None:
    amc.post_faults = ["504"]
    with pytest.raises(AmcUnavailableError):
        calls.validate(INSTANCE, request())
    assert amc.count("GET", "") == 0


def test_no_sql_and_no_values_in_the_log(amc: TinyAmc, calls: AmcClient, caplog: pytest.LogCaptureFixture) -> None:
    amc.post_faults = ["504"]
    asked = request(parameter_values={"word": "very-private"})
    with caplog.at_level(logging.DEBUG):
        calls.create_execution(INSTANCE, asked)
    assert "status=504" in caplog.text
    assert "adopted" in caplog.text
    for secret in ("very-private", "SELECT", "dsp_impressions", "Atza|"):
        assert secret not in caplog.text + repr(asked)
