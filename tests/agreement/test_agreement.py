"""The editor's lint and the local AMC say the same of every statement: what one refuses is an error in the other."""

from __future__ import annotations

import os
import re

import pytest

from amc_facts import grammar
from local_amc import engine
from local_amc.sql.catalogue import build
from local_amc.sql.compiler import compile_query
from local_amc.sql.errors import Source, SqlError
from local_amc.sql.functions import Run
from local_amc.sql.parameters import declare
from local_amc.sql.privacy import PrivacyOptions
from templates_app.sql.lint import Finding, apply_fix, lint
from tests.agreement.statements import (
    BLANKS,
    CONSTRUCTS,
    EXCEPTIONS,
    LOOK_ALIKES,
    WARNINGS,
    Statement,
    own,
    published,
)
from tests.local_amc.outcomes import declared
from tests.local_amc.shared import Amc

MIN_STATEMENTS = 150


def refusal(amc: Amc, sql: str) -> str:
    """Return why the local AMC refuses a statement, as it does before it computes anything; empty when it runs."""
    run = Run(amc.now, amc.now, amc.now, declare(declared(sql), {}))
    source = Source(sql)
    try:
        engine.prepare(amc.cursor, compile_query(sql, run, build()), PrivacyOptions(), source)
    except SqlError as problem:
        return str(problem)
    return ""


def errors(sql: str) -> list[Finding]:
    return [finding for finding in lint(sql, uploaded_tables=[]) if finding.level == "error"]


def warned(sql: str) -> set[str]:
    return {finding.rule for finding in lint(sql, uploaded_tables=[]) if finding.level == "warning"}


def test_the_list_is_long_enough_without_the_published_queries() -> None:
    assert len(own()) >= MIN_STATEMENTS
    assert EXCEPTIONS.keys() <= {statement.sql for statement in own()}
    assert set(EXCEPTIONS.values()) == WARNINGS.keys()


def test_every_construct_of_the_grammar_is_in_the_list() -> None:
    known = {*grammar.CONSTRUCTS.values(), *grammar.SIGNS.values(), grammar.DOLLAR_QUOTES, grammar.PREFIXED_STRING}
    assert {entry.code for entry in known} <= {code for _, code, _ in CONSTRUCTS}
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", entry.code) for entry in known)
    assert all(
        re.fullmatch(r".*[^.]", entry.message) and re.fullmatch(r"(.*\.)?", entry.instead) for entry in known
    )


@pytest.mark.parametrize("statement", own(), ids=lambda statement: statement.sql[:60])
def test_the_local_amc_and_the_lint_agree(amc: Amc, statement: Statement) -> None:
    why, found = refusal(amc, statement.sql), errors(statement.sql)
    if statement.warning is None:
        assert bool(why) == bool(found), f"local AMC: {why or 'runs'}; lint: {[f.message for f in found]}"
    else:
        # An exception that is none any more must go from the list.
        assert why
        assert found == []
        assert statement.warning == "" or statement.warning in warned(statement.sql)


@pytest.mark.skipif(
    "AMC_CORPUS" not in os.environ, reason="AMC_CORPUS is not set: no published queries to compare"
)
def test_they_agree_on_published_queries(amc: Amc) -> None:
    differing = {}
    for statement in published():
        why, found = refusal(amc, statement.sql), errors(statement.sql)
        if bool(why) != bool(found) and not (why and warned(statement.sql) & WARNINGS.keys()):
            differing[statement.sql[:200]] = (why, [finding.message for finding in found])
    assert differing == {}


@pytest.mark.parametrize(("sql", "code", "word"), CONSTRUCTS)
def test_both_name_the_construct(amc: Amc, sql: str, code: str, word: str) -> None:
    assert word in refusal(amc, sql)
    found = errors(sql)
    assert code in {finding.rule for finding in found}, found
    assert all(word in finding.message for finding in found if finding.rule == code)


@pytest.mark.parametrize(("sql", "character", "repaired"), LOOK_ALIKES)
def test_both_name_the_look_alike_and_the_fix_replaces_it(
    amc: Amc, sql: str, character: str, repaired: str
) -> None:
    assert character in refusal(amc, sql)
    first, *_ = errors(sql)
    assert (first.rule, first.line) == ("look-alike", 1)
    assert character in first.message
    assert first.column == next(place for place, sign in enumerate(sql, 1) if f"U+{ord(sign):04X}" == character)
    assert first.fix is not None
    assert apply_fix(sql, first.fix) == repaired
    assert errors(repaired) == []


@pytest.mark.parametrize("sql", BLANKS)
def test_blanks_that_amc_takes_are_warnings_with_a_fix(amc: Amc, sql: str) -> None:
    assert refusal(amc, sql) == ""
    found = lint(sql)
    assert {(finding.rule, finding.level) for finding in found} == {("look-alike", "warning")}
    for finding in found:
        assert finding.fix is not None
        assert lint(apply_fix(sql, finding.fix)) == []
