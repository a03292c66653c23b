"""Which tables a query reads, and the scans that stand for them, cut to the window."""

from __future__ import annotations

from datetime import datetime

from dateutil.relativedelta import relativedelta
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from amc_facts.calls import PERIOD, extension, extension_fault
from amc_facts.dialect import DIALECT
from amc_facts.tables import DISPLAY, SPONSORED_ADS
from local_amc.sql import bounds, users
from local_amc.sql.catalogue import Catalogue, Readable
from local_amc.sql.errors import Source, SqlRejectedError, reject
from local_amc.sql.functions import Run, timestamp

_ATTRIBUTED = "amazon_attributed_"
_FIRST_YEAR, _LAST_YEAR = datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31")


def resolve_time_windows(tree: exp.Expr, source: Source) -> None:
    """Replace `EXTEND_TIME_WINDOW('t', before, after)`, bare or in `TABLE(…)`, by the table with the periods."""
    for relation in list(tree.find_all(exp.Table)):
        reject([extension_fault(relation)], source)
        call = extension(relation)
        if call is None:
            continue
        table, before, after = call.expressions
        name = exp.to_identifier(table.name)
        name.meta.update({key: table.meta[key] for key in ("start", "end") if key in table.meta})
        relation.set("this", name)
        relation.meta["extended"] = (_duration(before.name), _duration(after.name))


def tables_read(tree: exp.Query, catalogue: Catalogue, source: Source) -> list[Readable]:
    """Return the tables a query reads, in order of appearance; raises SqlRejectedError for any other name.

    This is the boundary: qualified names, files and table functions end here.
    """
    found: list[Readable] = []
    read: list[exp.Expr] = []
    unseen = {id(relation): relation for relation in tree.find_all(exp.Table)}
    for scope in traverse_scope(tree):
        for relation in scope.tables:
            unseen.pop(id(relation), None)
            if relation.args.get("db") or relation.args.get("catalog"):
                raise SqlRejectedError(f"Object '{relation.sql(DIALECT)}' not found", source.span_of(relation))
            if _is_cte(relation, scope) and "extended" not in relation.meta:
                continue
            table = catalogue.find(relation.name)
            if table is None or not isinstance(relation.this, exp.Identifier):
                place = source.span_of(relation.this) or source.span_of(relation)
                raise SqlRejectedError(f"Object '{relation.name}' not found", place)
            found.append(table)
            read.append(relation)
    for relation in unseen.values():
        # Whatever the walk over scopes does not reach would not be cut to the window either.
        raise SqlRejectedError(f"Object '{relation.name}' cannot be read here", source.span_of(relation))
    bounds.check_tables(tree, read, source)
    return found


def scan(tree: exp.Query, run: Run, catalogue: Catalogue) -> None:
    """Replace every table, in place, by a scan cut to the run's window and to the columns that are named."""
    scans: list[tuple[exp.Table, Readable, set[str]]] = []
    for scope in traverse_scope(tree):
        for relation in scope.tables:
            table = catalogue.find(relation.name)
            if table is not None and ("extended" in relation.meta or not _is_cte(relation, scope)):
                # Those of subqueries that name this table are among them.
                read = {column.name for column in scope.source_columns(relation.alias_or_name)}
                scans.append((relation, table, read))
    for relation, table, read in scans:
        relation.replace(_scan_of(relation, table, run, read))


def _duration(text: str) -> relativedelta:
    [parts] = PERIOD.findall(text.strip().upper())
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in parts)
    return relativedelta(years=years, months=months, weeks=weeks, days=days, hours=hours, minutes=minutes)


def _is_cte(relation: exp.Table, scope: Scope) -> bool:
    return any(relation.name.lower() == name.lower() for name in scope.cte_sources)


def _moved(moment: datetime, period: relativedelta, otherwise: datetime) -> datetime:
    try:
        return moment + period
    except (ValueError, OverflowError):
        # Before the first or after the last year there is.
        return otherwise


def _place_of(table: Readable) -> exp.Table:
    catalog, schema, name = table.place.split(".")
    return exp.Table(
        this=exp.to_identifier(name), db=exp.to_identifier(schema), catalog=exp.to_identifier(catalog)
    )


def _scan_of(relation: exp.Table, table: Readable, run: Run, read: set[str]) -> exp.Subquery:
    """Return the scan of a table with the columns that are read, and the user.

    The engine would read no others anyway, but it takes long to look at 200 of them.
    """
    before, after = relation.meta.get("extended") or (relativedelta(), relativedelta())
    names = [name for name in table.columns if name in read or name == "user_id"] or list(table.columns)[:1]
    select = exp.Select(expressions=[exp.column(name, quoted=True) for name in names])
    select.set("from_", exp.From(this=_place_of(table)))
    if table.time_column is not None:
        column = exp.column(table.time_column, quoted=True)
        # Data of the future exist in the store, so that the clock can be moved; nobody may see them yet.
        start = _moved(run.window_start, -before, _FIRST_YEAR)
        end = min(_moved(run.window_end, after, _LAST_YEAR), run.now)
        select = select.where(
            exp.GTE(this=column, expression=timestamp(start)),
            exp.LT(this=column.copy(), expression=timestamp(end)),
            copy=False,
        )
    whose = _of_advertisers(table, run)
    if whose is not None:
        select = select.where(whose, copy=False)
    scanned = exp.Subquery(
        this=select, alias=exp.TableAlias(this=exp.to_identifier(relation.alias_or_name, quoted=True))
    )
    scanned.meta.update({users.SCAN_OF: table.name, users.HAS_USERS: table.has_users})
    return scanned


def _of_advertisers(table: Readable, run: Run) -> exp.Expr | None:
    """Return the condition that rows belong to the advertisers a run is restricted to; None when all do.

    An instance has one advertiser of each type. Attributed events are the only tables of both types.
    """
    if run.advertiser_types is None:
        return None
    if table.advertiser_type is not None:
        return None if table.advertiser_type in run.advertiser_types else exp.false()
    if not table.name.startswith(_ATTRIBUTED) or run.advertiser_types >= {DISPLAY, SPONSORED_ADS}:
        return None
    # Amazon's ad product is that of sponsored ads; traffic of the DSP has none.
    is_display = exp.Is(this=exp.column("ad_product_type", quoted=True), expression=exp.null())
    return is_display if DISPLAY in run.advertiser_types else exp.not_(is_display)
