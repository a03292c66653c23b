"""Says what AMC will refuse in a template, and what may surprise, before anything is sent to AMC."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice

from sqlglot import Token, TokenType, exp
from sqlglot.errors import SqlglotError

from amc_facts import grammar
from amc_facts.dialect import STATEMENT_STARTS
from amc_facts.tables import TABLES, Table
from templates_app.sql.lint.amount_rules import AMOUNT_RULES
from templates_app.sql.lint.catalogue import KnownTables
from templates_app.sql.lint.findings import Finding, Fix, Level, apply_fix
from templates_app.sql.lint.function_rules import FUNCTION_RULES
from templates_app.sql.lint.grammar_rules import GRAMMAR_RULES
from templates_app.sql.lint.group_rules import GROUP_RULES
from templates_app.sql.lint.look_alikes import find_look_alikes
from templates_app.sql.lint.name_rules import NAME_RULES
from templates_app.sql.lint.name_rules import advertiser_types as advertiser_type_rule
from templates_app.sql.lint.privacy_rules import PRIVACY_RULES
from templates_app.sql.lint.query import Query
from templates_app.sql.lint.reading import LintSource, UnreadableError, parse, read_tokens, too_deep
from templates_app.sql.lint.shape_rules import SHAPE_RULES
from templates_app.sql.lint.text_rules import TEXT_RULES

__all__ = ["MAX_ANALYSED_LENGTH", "Finding", "Fix", "Level", "apply_fix", "lint"]

logger = logging.getLogger(__name__)

# Longer templates are lists of values; parsing them would keep the editor waiting.
MAX_ANALYSED_LENGTH = 40_000
MAX_FINDINGS_PER_RULE = 50

_ROW_LEVEL_RULES = {"no-aggregate", "user-level-output"}
# Rules and errors whose traceback stands in the log of this process: typing on would only repeat it.
_logged: set[tuple[str, str]] = set()


def lint(
    sql: str,
    *,
    tables: Mapping[str, Table] = TABLES,
    uploaded_tables: Collection[str] | None = None,
    advertiser_types: Collection[str] | None = None,
    aggregation_controls: bool = True,
) -> list[Finding]:
    """Check a template as typed, placeholders included, and give what was found by position.

    `uploaded_tables` and `advertiser_types` are those of the instance; None means that they are not known.
    Without `aggregation_controls`, as in AMC's sandbox, rows need not be aggregated. Never raises.
    """
    if not sql.strip():
        return []
    catalogue = KnownTables(tables, uploaded_tables)
    findings = _check(sql, catalogue, advertiser_types)
    if not aggregation_controls:
        findings = [finding for finding in findings if finding.rule not in _ROW_LEVEL_RULES]
    return sorted(set(findings), key=_position)


def _position(finding: Finding) -> tuple[int, int, int, int, str, str]:
    return (*_start_and_end(finding), finding.rule, finding.message)


def _start_and_end(finding: Finding) -> tuple[int, int, int, int]:
    return finding.line, finding.column, finding.end_line, finding.end_column


def _check(sql: str, catalogue: KnownTables, types: Collection[str] | None) -> list[Finding]:
    look_alikes = find_look_alikes(sql)
    if any(finding.level == "error" for finding in look_alikes):
        # The rest would be about the words that these characters cut or join.
        return look_alikes
    try:
        source = read_tokens(sql)
    except UnreadableError as unreadable:
        return [*look_alikes, unreadable.finding]
    findings = look_alikes + _run(source, [partial(rule, source) for rule in TEXT_RULES])
    if len(sql) > MAX_ANALYSED_LENGTH:
        message = f"Tables and columns are checked in SQL of up to {MAX_ANALYSED_LENGTH} characters only."
        return [*findings, source.finding("not-analysed", "info", message, 0, 0)]
    try:
        statements = parse(source)
    except UnreadableError as unreadable:
        return [*findings, unreadable.finding]
    if not statements:
        return findings
    first = next(token for token in source.tokens if token.token_type != TokenType.SEMICOLON)
    tree = statements[0]
    # FROM without SELECT was found among the words.
    if first.token_type not in STATEMENT_STARTS | {TokenType.FROM} or not isinstance(tree, exp.Query):
        return [*findings, _not_a_query(source, first)]
    return findings + _check_query(Query(source, tree, catalogue), types)


def _check_query(query: Query, types: Collection[str] | None) -> list[Finding]:
    try:
        for scope in query.scopes:
            query.from_items(scope)
    except RecursionError:
        return [too_deep(query.source)]
    except SqlglotError as error:
        return [_unscoped(query.source, error)]
    rules = chain(GRAMMAR_RULES, FUNCTION_RULES, NAME_RULES, SHAPE_RULES, GROUP_RULES, PRIVACY_RULES, AMOUNT_RULES)
    checks = [*(partial(rule, query) for rule in rules), partial(advertiser_type_rule, query, types)]
    return _run(query.source, checks)


def _run(source: LintSource, checks: Iterable[Callable[[], Iterator[Finding]]]) -> list[Finding]:
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += islice(check(), MAX_FINDINGS_PER_RULE)
        except RecursionError:
            findings.append(too_deep(source))
        # The editor must go on: one rule that stumbles over odd SQL does not hide what the others found.
        except Exception as error:
            _log_once(check, source, error)
    return findings


def _log_once(check: Callable[[], Iterator[Finding]], source: LintSource, error: Exception) -> None:
    """Log a bug of a rule, with its traceback, the first time that it shows."""
    rule = str(getattr(getattr(check, "func", check), "__name__", check))
    if (rule, type(error).__name__) not in _logged:
        _logged.add((rule, type(error).__name__))
        logger.error("lint rule failed rule=%s length=%s", rule, len(source.sql), exc_info=error)


def _not_a_query(source: LintSource, first: Token) -> Finding:
    message = f"{grammar.NOT_A_QUERY} This begins with {source.word(first).upper()}."
    return source.finding("not-a-query", "error", message, first.start, first.end + 1)


def _unscoped(source: LintSource, error: Exception) -> Finding:
    text = str(error)
    if text.startswith("Alias already used"):
        name = text.rpartition(": ")[2]
        message = f"Two tables in one FROM are called {name}: give each an alias of its own."
        position = max(source.readable.text.rfind(name), 0)
        return source.finding("duplicate-alias", "error", message, position, position + len(name))
    message = "The SQL is too unusual to be checked further."
    return source.finding("not-analysed", "info", message, 0, 0)
