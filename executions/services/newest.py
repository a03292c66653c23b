"""The newest runs that a user sees, at a cost that does not grow with the history.

No index begins with who sees a run: access is decided by its instance, and may be shared. So two ways lead to the
same rows. Whoever runs much finds enough among the newest runs of all (`executions_newest`). For all others each
instance tells its newest runs (`executions_newest_of_instance`), and only the instances that ran last are asked.
A database that is left to choose sorts all that the user ever ran, or passes over all that others did.
"""

from __future__ import annotations

import datetime as dt
import heapq
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import F, JSONField, OuterRef, Subquery

from amchelper.models import User
from executions.models import Execution, ExecutionQuerySet
from instances.models import AMCInstance

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler

# So many of the newest runs of all are looked at first; cheap to read, and enough where one user runs most of them.
_LOOKED_AT = 500
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def newest_runs(user: User, skip: int, count: int) -> list[Execution]:
    """Return so many runs that `user` sees, the newest first, as lists show them, after leaving out `skip` of them."""
    found = _among_newest(Execution.objects.visible_to(user).for_lists(), skip, count)
    if found is not None:
        return found
    # By key alone: asked once more whose they are, SQLite goes through all runs of all instances.
    return list(Execution.objects.for_lists().filter(pk__in=_keys_by_instance(user, skip + count)[skip:]))


def newest_of(runs: ExecutionQuerySet, skip: int, count: int) -> list[Execution]:
    """Return so many of `runs`, which a filter has narrowed; only what is rare or old costs a search through all."""
    listed = runs.for_lists()
    found = _among_newest(listed, skip, count)
    return list(listed[skip : skip + count]) if found is None else found


def _among_newest(listed: ExecutionQuerySet, skip: int, count: int) -> list[Execution] | None:
    """Return the rows if the newest runs of all hold enough of them, or there are no others; None otherwise."""
    end = skip + count
    since = _time_of_newest(max(_LOOKED_AT, 2 * end))
    if since is None:
        # There are no more than that: any way is short.
        return list(listed[skip:end])
    found = list(listed.filter(queued_at__gte=since)[skip:end])
    return found if len(found) == count else None


def _time_of_newest(number: int) -> dt.datetime | None:
    """Return when the run was queued that so many are as new as, whoever's they are; None when there are fewer."""
    return Execution.objects.values_list("queued_at", flat=True)[number - 1 : number].first()


def _keys_by_instance(user: User, count: int) -> list[UUID]:
    """Return the keys of the newest `count` runs that `user` sees, from the instances that ran last.

    When there are so many instances, each has a run that is as new as the last run of the last one of them; nothing
    older is needed. Nor are more than so many runs of one instance.
    """
    runs = Execution.objects.filter(instance=OuterRef("pk"))
    instances = AMCInstance.objects.visible_to(user).annotate(last=Subquery(runs.values("queued_at")[:1]))
    ran = F("last").desc(nulls_last=True)
    latest = [row for row in instances.order_by(ran).values_list("pk", "last")[:count] if row[1] is not None]
    since = latest[-1][1] if len(latest) == count else _LONG_AGO
    newest = runs.filter(queued_at__gte=since).values("queued_at", "id")[:count]
    asked = AMCInstance.objects.filter(pk__in=[key for key, _ in latest]).order_by()
    lists = asked.values_list(_AsList(newest), flat=True)
    pairs = ((dt.datetime.fromisoformat(at), UUID(key)) for rows in lists for at, key in rows or ())
    return [key for _, key in heapq.nlargest(count, pairs)]


class _AsList(Subquery):
    """Times and keys of the newest runs of one instance as JSON: a join would read all of its runs."""

    output_field = JSONField()
    template = "(SELECT jsonb_agg(jsonb_build_array(_.queued_at, _.id)) FROM (%(subquery)s) _)"

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        template = "(SELECT json_group_array(json_array(_.queued_at, _.id)) FROM (%(subquery)s) _)"
        return self.as_sql(compiler, connection, template=template, **extra)
