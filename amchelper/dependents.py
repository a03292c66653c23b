"""What goes with rows that are deleted: told before, by number, and done in one act.

Every app registers the kinds of rows it holds when it is ready. Which of them go is read from the models' cascades, so
that no page tells anything else than what the database does; a kind adds the words, and what its app has to do.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import CASCADE, RESTRICT, Model, Q, QuerySet

from amchelper.access import pk_of
from amchelper.bulk import delete_gradually
from amchelper.commits import after_commit
from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from amchelper.words import counted

logger = logging.getLogger(__name__)

# More names than these make no sentence.
MAX_NAMED = 5
_STILL_NEEDED = "Something was added meanwhile that still needs it. Reload the page to see what."

Paths = dict[type[Model], list[str]]


@dataclass(frozen=True)
class DependentKind:
    """Rows of one model that go with others, in words, and what their app does about it.

    All functions take the rows that are concerned. `prepare` runs before anything goes, keeps new rows from being
    added, and may return what is left to do in the end.
    """

    model: type[Model]
    noun: str
    plural: str = ""
    # Lost with these, so much is gone that a name has to be typed.
    is_weighty: bool = False
    # Sentences about what goes; the number where it is not given.
    describe: Callable[[QuerySet[Any]], list[str]] | None = None
    # A sentence about why they must not go now, and what to do; empty when they may.
    obstacle: Callable[[QuerySet[Any]], str] | None = None
    prepare: Callable[[QuerySet[Any]], Callable[[], object] | None] | None = None
    # Sentences about what works no longer while their Amazon login is disconnected.
    stops: Callable[[QuerySet[Any]], list[str]] | None = None
    # What to do about rows that keep what they need from being deleted (RESTRICT).
    way_out: str = ""

    def sentences(self, rows: QuerySet[Any]) -> list[str]:
        """Return what is told of rows that go; there are some."""
        return self.describe(rows) if self.describe else [counted(rows.count(), self.noun, self.plural)]


@dataclass(frozen=True)
class DeletionImpact:
    """What goes with rows; `obstacles` are sentences about why they cannot be deleted now, and what to do."""

    consequences: list[str]
    obstacles: list[str]
    counts: dict[type[Model], int]
    needs_name: bool


_kinds: dict[type[Model], DependentKind] = {}


def register(*kinds: DependentKind) -> None:
    """Make kinds of rows known; apps call it when they are ready, and pages tell them in this order."""
    for kind in kinds:
        _kinds[kind.model] = kind


def registered_models() -> set[type[Model]]:
    """Return the models whose rows are told."""
    return set(_kinds)


def cascade_paths(root: type[Model], *, through: tuple[Any, ...] = (CASCADE,)) -> Paths:
    """Return every model whose rows go with rows of `root`, each with the look-ups that lead there.

    Rows that only tie two others together (many to many) have no meaning of their own and are left out.
    """
    paths: Paths = defaultdict(list)

    def follow(model: type[Model], way: str, passed: tuple[type[Model], ...]) -> None:
        for relation in model._meta.get_fields(include_hidden=True):
            if not isinstance(relation, models.ManyToOneRel) or relation.on_delete not in through:
                continue
            found = relation.related_model
            if isinstance(found, str) or found._meta.auto_created or found in passed:
                continue
            path = f"{relation.field.name}__{way}" if way else relation.field.name
            paths[found].append(path)
            follow(found, path, (*passed, found))

    follow(root, "", (root,))
    return dict(paths)


def impact_of(rows: QuerySet[Any]) -> DeletionImpact:
    """Return what goes with `rows`, and what stands against their deletion. A few statements per kind."""
    kinds = _kinds_of(rows, cascade_paths(rows.model))
    going = [(kind, found, count) for kind, found in kinds if (count := found.count())]
    return DeletionImpact(
        consequences=[sentence for kind, found, _ in going for sentence in kind.sentences(found)],
        obstacles=_obstacles(rows),
        counts={kind.model: count for kind, _, count in going},
        needs_name=any(kind.is_weighty for kind, _, _ in going),
    )


def stopped_with(rows: QuerySet[Any]) -> list[str]:
    """Return sentences about what stops while rows, Amazon logins, are disconnected; all that is theirs stays."""
    kinds = _kinds_of(rows, cascade_paths(rows.model, through=(CASCADE, RESTRICT)))
    return [said for kind, found in kinds if kind.stops for said in kind.stops(found)]


def delete_with_dependents(rows: QuerySet[Any], *, actor: User | None) -> None:
    """Delete rows and all that goes with them; what lies outside the database goes in the end.

    Raises InvalidStateError with what stands against it, and deletes nothing then. A long history goes in small
    transactions, the furthest first, while the rows themselves stand prepared: one that dies half way leaves them to
    be deleted again.
    """
    paths = {rows.model: ["pk"], **cascade_paths(rows.model)}
    with transaction.atomic():
        pks = list(rows.order_by().values_list("pk", flat=True))
        locked = rows.model._default_manager.filter(pk__in=pks)
        # Nothing new may refer to them while it is looked at.
        list(locked.select_for_update(of=("self",)).order_by("pk").values_list("pk"))
        afterwards = [kind.prepare(going) for kind, going in _kinds_of(locked, paths) if kind.prepare]
        if obstacles := _obstacles(locked):
            raise InvalidStateError(" ".join(obstacles))
    try:
        delete_gradually(locked)
    except IntegrityError:
        # RestrictedError too; or a row that refers to one of these was written between two statements.
        raise InvalidStateError(_STILL_NEEDED) from None
    for act in filter(None, afterwards):
        after_commit(act, what="delete dependents")
    for pk in pks:
        logger.info("%s deleted pk=%s actor=%s", rows.model._meta.verbose_name, pk, pk_of(actor))


def named(rows: QuerySet[Any], noun: str, plural: str = "", *, by: str = "name") -> str:
    """Return the number of rows and the first of their names: "3 brands: Acme, Bolt, Cora"."""
    count = rows.count()
    names = list(rows.order_by(by).values_list(by, flat=True)[:MAX_NAMED])
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return f"{counted(count, noun, plural)}: {', '.join(names)}{more}"


def _obstacles(rows: QuerySet[Any]) -> list[str]:
    """Return why `rows` cannot be deleted: what an app says of rows that would go, and what stays and needs them."""
    paths = {rows.model: ["pk"], **cascade_paths(rows.model)}
    said = [kind.obstacle(going) for kind, going in _kinds_of(rows, paths) if kind.obstacle]
    for model in paths:
        needing = _restricting(rows, model, paths)
        for kind, staying in _kinds_of(rows, needing):
            going = _rows_on(rows, kind.model, paths[kind.model]) if kind.model in paths else None
            left = staying.exclude(pk__in=going.values("pk")) if going is not None else staying
            if left.exists():
                said.append(f"Still needed by {named(left, kind.noun, kind.plural)}. {kind.way_out}")
    return [sentence for sentence in said if sentence]


def _restricting(rows: QuerySet[Any], model: type[Model], paths: Paths) -> Paths:
    """Return the models whose rows keep rows of `model` from being deleted, with the look-ups that lead to `rows`."""
    found: Paths = defaultdict(list)
    for relation in model._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel) and relation.on_delete is RESTRICT:
            ways = [relation.field.name] if model is rows.model else []
            ways += [f"{relation.field.name}__{path}" for path in paths[model] if path != "pk"]
            found[relation.related_model] += ways
    return found


def _kinds_of(rows: QuerySet[Any], paths: Paths) -> Iterator[tuple[DependentKind, QuerySet[Any]]]:
    """Return the registered kinds on these paths, in order, each with its rows that lead to `rows`."""
    for model, kind in _kinds.items():
        if model in paths:
            yield kind, _rows_on(rows, model, paths[model])


def _rows_on(rows: QuerySet[Any], model: type[Model], paths: list[str]) -> QuerySet[Any]:
    # Each look-up follows keys upwards, so no row comes twice.
    leads_there = reduce(or_, (Q(**{f"{path}__in": rows.order_by().values("pk")}) for path in paths))
    return model._default_manager.filter(leads_there)
