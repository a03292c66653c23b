"""Every reason the client knows is an error code of runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from amchelper.exceptions import UndecryptableError
from executions.errors import ErrorCode
from instances import amc
from instances.amc import rejections
from instances.amc.errors import AmcError
from schedules.services.steps import TRANSIENT_CODES


def family(root: type[AmcError]) -> Iterator[type[AmcError]]:
    """Return an error class and all below it."""
    yield root
    for child in root.__subclasses__():
        yield from family(child)


def test_default_reasons_are_codes() -> None:
    reasons = {error.default_reason for error in family(AmcError)}
    assert len(reasons) > 10
    assert reasons <= set(ErrorCode.values)
    assert UndecryptableError.code in ErrorCode.values


def test_reasons_given_where_errors_are_raised_are_codes() -> None:
    given = set()
    for source in Path(amc.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
                given.add(node.value.value)
    assert {"network", "unauthenticated", "terms_required"} <= given
    assert given <= set(ErrorCode.values)


def test_words_of_amc_are_read_as_codes() -> None:
    codes = {rejections.OVERLAP_PROTECTION, rejections.INVALID_SQL, rejections.UNDECLARED_PARAMETER}
    assert codes <= set(ErrorCode.values)


def test_codes_fit_their_column_and_slots_know_the_transient_ones() -> None:
    assert max(map(len, ErrorCode.values)) <= 40
    assert set(ErrorCode.values) >= TRANSIENT_CODES
