"""What the reader of every relation wants of it: its users, how many there are, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Flag, auto

from sqlglot import exp

from amc_facts.validation import relations_of
from local_amc.sql.users import QUERIES, SCAN_OF, groups


class Needs(Flag):
    """What the reader of a relation wants of it."""

    NOTHING = 0
    USERS = auto()
    COUNTS = auto()


def note_needs(query: exp.Expr, needs: Needs, ctes: Mapping[str, exp.Expr], found: dict[int, Needs]) -> None:
    """Note what the readers of every CTE want of it; those of no reader that is carried are left alone."""
    known, outer = dict(ctes), []
    with_ = query.args.get("with_")
    for cte in with_.expressions if with_ is not None else []:
        outer.append((cte, dict(known)))
        known[cte.alias.lower()] = cte
    if isinstance(query, exp.Subquery):
        note_needs(query.this, needs, known, found)
    elif isinstance(query, exp.Union):
        for node, _, of_arms in spine(query, needs):
            note_needs(node.expression, of_arms, known, found)
            if not isinstance(node.this, exp.Union):
                note_needs(node.this, of_arms, known, found)
    elif isinstance(query, exp.Select):
        _note_of_sources(query, needs, known, found)
    for cte, before in reversed(outer):
        if id(cte) in found:
            note_needs(cte.this, found[id(cte)], before, found)


def _note_of_sources(
    select: exp.Select, needs: Needs, ctes: Mapping[str, exp.Expr], found: dict[int, Needs]
) -> None:
    wanted = Needs.USERS if select.args.get("distinct") is not None or groups(select) else needs
    for relation in relations_of(select):
        cte = ctes.get(relation.name.lower()) if isinstance(relation, exp.Table) else None
        if cte is not None:
            found[id(cte)] = found.get(id(cte), Needs.NOTHING) | wanted
        elif isinstance(relation, exp.Subquery) and SCAN_OF not in relation.meta:
            note_needs(relation.this, wanted, ctes, found)
    for value in [found_query for item in select.expressions for found_query in outermost_queries(item)]:
        note_needs(value, Needs.USERS, ctes, found)


def spine(union: exp.Union, needs: Needs) -> Iterator[tuple[exp.Union, Needs, Needs]]:
    """Return a UNION of many arms from the outermost inwards: what is wanted of each, and what of its arms."""
    node: exp.Expr = union
    while isinstance(node, exp.Union):
        of_arms = Needs.USERS if node.args.get("distinct") and needs else needs
        yield node, needs, of_arms
        node, needs = node.this, of_arms


def outermost_queries(node: exp.Expr) -> Iterator[exp.Expr]:
    """Return the queries in an expression that are in no other one."""
    if isinstance(node, QUERIES):
        yield node
        return
    for child in node.iter_expressions():
        yield from outermost_queries(child)
