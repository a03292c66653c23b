"""Published queries over HTTP: what must run runs, everything else is refused with the cause, nothing breaks.

Wants AMC_CORPUS, a folder with `amc-queries/*.sql` and its `MANIFEST.md`; the queries are not ours to carry.
"""

from __future__ import annotations

import functools
import os
import re

import pytest

from local_amc.server import LocalAmcServer
from tests.local_amc.outcomes import Outcome, corpus, outcomes, summary
from tests.local_amc.shared import ENGINE_WORDS
from tests.shared_data import DATA

pytestmark = pytest.mark.skipif(
    "AMC_CORPUS" not in os.environ, reason="AMC_CORPUS is not set: no published queries to run"
)

RUNS, ROWS = 0.95, 0.8


@functools.cache
def found() -> list[Outcome]:
    with LocalAmcServer(speed=0, data=str(DATA)) as amc:
        return list(outcomes(amc, corpus()))


def listed(queries: list[Outcome]) -> str:
    return "\n".join(f"{query.query.name}: {query.state} {query.reason}" for query in queries)


def test_what_must_run_runs_and_mostly_gives_rows() -> None:
    judged = [outcome for outcome in found() if outcome.query.is_judged]
    assert judged
    failed = [outcome for outcome in judged if not outcome.is_right]
    assert len(failed) <= (1 - RUNS) * len(judged), listed(failed) + "\n" + summary(found())
    filled = [outcome for outcome in judged if outcome.rows]
    assert len(filled) >= ROWS * len(judged), summary(found())


def test_what_cannot_run_is_refused() -> None:
    invalid = [outcome for outcome in found() if outcome.query.kind == "invalid"]
    accepted = [outcome for outcome in invalid if outcome.state == "SUCCEEDED"]
    assert invalid
    assert accepted == [], listed(accepted)


def test_every_rejection_names_its_cause_and_nothing_breaks() -> None:
    refused = [outcome for outcome in found() if outcome.state != "SUCCEEDED"]
    # An execution ends as REJECTED or FAILED; a number is the status of the answer to its creation.
    broken = [outcome for outcome in refused if not re.fullmatch(r"REJECTED|FAILED|4\d\d", outcome.state)]
    assert broken == [], listed(broken)
    mute = [outcome for outcome in refused if len(outcome.reason) < 10 or ENGINE_WORDS.search(outcome.reason)]
    assert mute == [], listed(mute)
