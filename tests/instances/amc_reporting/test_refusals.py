"""What AMC's words mean: the place in the SQL, protection, limits; and words that only look like it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import responses

from instances.amc.errors import AmcError, AmcLimitError, AmcNotFoundError, AmcRejectedError, SqlPosition
from instances.amc.rejections import read_rejection
from tests.instances.amc.builders import INSTANCE, client
from tests.instances.amc_reporting.builders import EXECUTIONS, request

OVERLAP = (
    "Execution refused: too many workflows have already been run against the same input data sources. "
    "Reached the limit."
)


@pytest.fixture(autouse=True)
def _recorded() -> Iterator[None]:
    with responses.mock:
        yield


def refuse(status: int, words: str) -> AmcError:
    """Let AMC refuse an execution with these words and give what the client makes of it."""
    responses.post(EXECUTIONS, status=status, body=json.dumps({"code": str(status), "details": words}))
    with client() as calls, pytest.raises(AmcError) as caught:
        calls.create_execution(INSTANCE, request())
    assert len(responses.calls) == 1
    return caught.value


@pytest.mark.parametrize(
    ("words", "position"),
    [
        ("From line 2, column 5 to line 3, column 9: Column 'x' not found in any table", (2, 5, 3, 9)),
        ("was unable to compile workflow w: From line 1, column 8 to line 1, column 8: *", (1, 8, 1, 8)),
        ('Encountered "LIMIT" at line 4, column 12.', (4, 12, 4, 12)),
        ("At line 7, column 1: no", (7, 1, 7, 1)),
        ("x" * 3000 + " from line 2, column 3 to line 2, column 4: late", (2, 3, 2, 4)),
    ],
)
def test_place_in_the_sql_is_read(words: str, position: tuple[int, int, int, int]) -> None:
    error = refuse(400, words)
    assert isinstance(error, AmcRejectedError)
    assert (error.reason, error.position, error.transient) == ("invalid_sql", SqlPosition(*position), False)
    assert words[-20:] in error.message
    assert error.call is not None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (OVERLAP, "overlap_protection"),
        ("Workflow was unable to compile workflow: undeclared parameter 'x'", "undeclared_parameter"),
        ("Number of columns must match number of query columns", "invalid_sql"),
        ("Object 'dsp_impression' not found", "invalid_sql"),
        ("timeWindowStart is not a date", "bad_request"),
        ("", "bad_request"),
    ],
)
def test_refusals_have_reasons(words: str, reason: str) -> None:
    error = refuse(400, words)
    assert isinstance(error, AmcRejectedError)
    assert (error.reason, error.position, error.transient) == (reason, None, False)


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(
    "words",
    [
        "You have reached your execution limit",
        "Workflow execution limit exceeded",
        "The limit of concurrent executions is 10",
        "Too many concurrent executions",
        "Execution limit reached for this account",
        "You have exceeded the maximum query limit",
    ],
)
def test_limits_are_transient(status: int, words: str) -> None:
    error = refuse(status, words)
    assert isinstance(error, AmcLimitError)
    assert (error.transient, error.reason) == (True, "execution_limit")
    assert words in error.message


@pytest.mark.parametrize(
    "words",
    [
        "LIMIT is not supported",
        'Encountered "LIMIT" at line 4, column 12. Was expecting one of',
        "From line 1, column 1 to line 1, column 9: Object 'execution_limit' not found",
        "workflowExecutionTimeoutSeconds must be within limits",
        "workflowExecutionTimeoutSeconds exceeds the limit",
        "The query exceeds the limit of 65536 characters",
        OVERLAP,
    ],
)
def test_words_that_only_mention_a_limit_are_refusals(words: str) -> None:
    error = refuse(422, words)
    assert isinstance(error, AmcRejectedError)
    assert not error.transient


def test_unknown_workflow_stays_not_found() -> None:
    assert isinstance(refuse(400, "Workflow with ID x does not exist"), AmcNotFoundError)


def test_words_without_meaning_have_no_reason() -> None:
    assert read_rejection("The run took too long.").reason == ""
    assert read_rejection("").position is None
