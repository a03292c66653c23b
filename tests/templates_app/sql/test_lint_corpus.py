"""The lint against published AMC queries, each classed by whether AMC's documented tables can run it."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from templates_app.sql.lint import Finding, apply_fix, lint

CORPUS = os.environ.get("AMC_CORPUS", "")
pytestmark = pytest.mark.skipif(not CORPUS, reason="AMC_CORPUS does not name the folder with the query corpus")

_ROW = re.compile(r"^\| (?P<file>\S+\.sql) \| (?P<kind>\S+) \|[^|]*\|(?P<reason>[^|]*)\|", re.MULTILINE)
_UNRESOLVABLE = re.compile(r"column (\w+) not resolvable")
VALID = {"runs", "retired-name", "needs-upload"}


@dataclass(frozen=True)
class Sample:
    file: str
    kind: str
    reason: str
    sql: str


def samples() -> list[Sample]:
    folder = Path(CORPUS) / "amc-queries"
    rows = _ROW.finditer((folder / "MANIFEST.md").read_text())
    return [
        Sample(row["file"], row["kind"], row["reason"].strip(), (folder / row["file"]).read_text()) for row in rows
    ]


def errors(sql: str, uploaded: list[str] | None) -> list[Finding]:
    return [finding for finding in lint(sql, uploaded_tables=uploaded) if finding.level == "error"]


def unknown_tables(sql: str) -> list[str]:
    lines = sql.splitlines()
    return [
        lines[finding.line - 1][finding.column - 1 : finding.end_column - 1]
        for finding in lint(sql, uploaded_tables=[])
        if finding.rule == "unknown-table"
    ]


def test_valid_queries_have_no_errors() -> None:
    refused = {}
    for sample in samples():
        if sample.kind in VALID:
            uploaded = unknown_tables(sample.sql) if sample.kind == "needs-upload" else []
            # What classed the queries as running took ::, which AMC does not have.
            found = [f for f in errors(sample.sql, uploaded) if f.rule != "cast-operator"]
            messages = [f"{f.line}:{f.column} {f.message}" for f in found]
            if messages:
                refused[sample.file] = messages
    assert refused == {}


def test_uploaded_tables_are_what_is_missing() -> None:
    for sample in samples():
        if sample.kind == "needs-upload":
            assert {f.rule for f in errors(sample.sql, [])} == {"unknown-table"}, sample.file


def test_nothing_is_missing_where_any_table_may_be_uploaded() -> None:
    for sample in samples():
        if sample.kind == "needs-upload":
            assert errors(sample.sql, None) == [], sample.file


def test_every_fix_ends_its_finding_and_leaves_readable_sql() -> None:
    broken = []
    for sample in samples():
        before = lint(sample.sql)
        for finding in before:
            if finding.fix is None:
                continue
            after = lint(apply_fix(sample.sql, finding.fix))
            counts = Counter(f.rule for f in after) - Counter(f.rule for f in before)
            # Behind a name that is right now, another rule can look further.
            is_gone = finding.message not in {f.message for f in after if place(f) == place(finding)}
            if not is_gone or {"syntax-error", "not-analysed", "several-statements"} & counts.keys():
                broken.append((sample.file, finding.rule, finding.line, counts))
    assert broken == []


def place(finding: Finding) -> tuple[int, int]:
    return finding.line, finding.column


def test_nearly_all_invalid_queries_have_an_error() -> None:
    invalid = [sample for sample in samples() if sample.kind == "invalid"]
    missed = [sample.file for sample in invalid if not errors(sample.sql, [])]
    assert len(missed) <= len(invalid) * 0.1, missed


def test_errors_name_the_unknown_column_or_the_table_it_should_come_from() -> None:
    wrong = []
    for sample in samples():
        column = _UNRESOLVABLE.search(sample.reason)
        if sample.kind == "invalid" and column:
            findings = errors(sample.sql, [])
            causes = [f for f in findings if f.rule in ("unknown-table", "syntax-error")]
            if not causes and not any(column[1].lower() in f.message.lower() for f in findings):
                wrong.append((sample.file, column[1], [f.message for f in findings]))
    assert wrong == []


def test_every_query_is_linted_the_same_way_twice() -> None:
    for sample in samples():
        assert lint(sample.sql) == lint(sample.sql)
