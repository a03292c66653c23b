"""Write a change of mappings in small transactions: nobody waits for long, and readers see all of it or nothing.

The rows to add and to remove carry the key of the change. While the row of the change is there, readers leave out the
ones and keep the others (`MappingQuerySet.mapped`); deleting it is the moment in which the change happens. What a
writer that died has left behind is undone by the next one, or by `sweep`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeAlias
from uuid import UUID

from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from amchelper.access import pk_of
from amchelper.bulk import PreparedInsert, batches, delete_in_batches
from amchelper.busy import BusyError, is_busy
from amchelper.exceptions import InvalidStateError
from amchelper.leases import Claim, LeaseLostError, new_token
from amchelper.models import User
from instances.models import AMCInstance, BrandASIN, BrandCampaign, InstanceBrand, MappingChange
from instances.models.mapping import MappingChangeQuerySet
from instances.services.configuration import invalidate_configuration

logger = logging.getLogger(__name__)

# How long one change waits for another one of the same instance.
WAIT_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.1
_OTHERS = "Other mappings of this instance are being saved at this moment."
_DELETED = "This instance was deleted meanwhile. Nothing was saved."
_TOO_SLOW = "Saving took so long that another change went first."

Row: TypeAlias = BrandASIN | BrandCampaign
_MODELS: tuple[type[Row], ...] = (BrandASIN, BrandCampaign)


class ChangeClaim(Claim[MappingChange]):
    """The change that this process writes."""

    def add(self, rows: Sequence[Row]) -> None:
        """Write rows that are mapped once the change is finished; raises LeaseLostError, IntegrityError."""
        for row in rows:
            row.added_in = self.row.pk
        for batch in batches(rows):
            # Conflicts are not ignored: there are none while this change is the only one, and SQLite would ignore
            # broken rows with them.
            insert = PreparedInsert(batch)
            with transaction.atomic():
                self.heartbeat(always=True)
                insert.execute()

    def remove(self, model: type[Row], pks: Sequence[int]) -> None:
        """Mark rows that are mapped until the change is finished; raises LeaseLostError."""
        for batch in batches(pks):
            with transaction.atomic():
                self.heartbeat(always=True)
                model._default_manager.filter(pk__in=batch).update(removed_in=self.row.pk)

    def happen(self) -> None:
        """Make the change true for everybody, at once; raises LeaseLostError."""
        with transaction.atomic():
            if not self._rows().filter(pk=self.row.pk, leased_by=self._token).delete()[0]:
                raise LeaseLostError(str(self.row.pk))
            invalidate_configuration([self.row.instance_id])

    def undo(self) -> None:
        """Take back what was written and end the change; raises LeaseLostError."""
        for model in _MODELS:
            self._take_back(model)
        with transaction.atomic():
            self.heartbeat(always=True)
            self._rows().filter(pk=self.row.pk).delete()

    def _take_back(self, model: type[Row]) -> None:
        rows = model._default_manager.filter(brand__instance=self.row.instance_id)
        added = list(rows.filter(added_in=self.row.pk).values_list("pk", flat=True))
        marked = list(rows.filter(removed_in=self.row.pk).values_list("pk", flat=True))
        # In this order: what comes back may be spelled like what goes.
        for batch in batches(added):
            with transaction.atomic():
                self.heartbeat(always=True)
                model._default_manager.filter(pk__in=batch).delete()
        for batch in batches(marked):
            with transaction.atomic():
                self.heartbeat(always=True)
                model._default_manager.filter(pk__in=batch).update(removed_in=None)


@contextmanager
def changing(instance: AMCInstance, *, actor: User | None) -> Iterator[ChangeClaim]:
    """Hold the one change that an instance may have at a time; it happens at the end, or after an error not at all.

    Raises BusyError when others do not finish in time, InvalidStateError for an instance that is gone.
    """
    claim = _begin(instance, actor)
    try:
        yield claim
        claim.happen()
    except LeaseLostError:
        raise BusyError(_TOO_SLOW) from None
    except BaseException:
        # What cannot be undone now is undone by whoever comes next: it never happened.
        with suppress(LeaseLostError, DatabaseError):
            claim.undo()
        raise
    _remove_dead(claim.row)


def is_changing(instance: AMCInstance) -> bool:
    """Return whether a change is being written; one whose writer died does not count."""
    return MappingChange.objects.filter(instance=instance, lease_until__gt=timezone.now()).exists()


def sweep() -> None:
    """Undo changes whose writers died, and remove the rows that finished ones and removed brands left behind."""
    now = timezone.now()
    for pk in MappingChange.objects.due(now).values_list("pk", flat=True):
        if (claim := _take_over(pk)) is not None:
            with suppress(LeaseLostError):
                claim.undo()
    being_written = MappingChange.objects.order_by().values("pk")
    for model in _MODELS:
        delete_in_batches(model._default_manager.exclude(removed_in=None).exclude(removed_in__in=being_written))
    remove_detached_brands()


def remove_detached_brands() -> None:
    """Remove the brands that belong to no instance any more, with what was mapped to them."""
    brands = InstanceBrand.objects.filter(instance=None)
    for model in _MODELS:
        delete_in_batches(model._default_manager.filter(brand__in=brands))
    delete_in_batches(brands)


def _begin(instance: AMCInstance, actor: User | None) -> ChangeClaim:
    """Become the one that changes an instance's mappings."""
    token, until = new_token(pk_of(actor)), time.monotonic() + WAIT_SECONDS
    while True:
        lease_until = timezone.now() + MappingChangeQuerySet.lease
        try:
            with transaction.atomic():
                row = MappingChange.objects.create(instance=instance, lease_until=lease_until, leased_by=token)
            return ChangeClaim(row, token)
        except IntegrityError:
            pass  # another change is being written, or was left behind
        present = MappingChange.objects.filter(instance=instance).values_list("pk", flat=True).first()
        if present is not None and (left_behind := _take_over(present)) is not None:
            with suppress(LeaseLostError):
                left_behind.undo()
        elif present is None and not AMCInstance.objects.filter(pk=instance.pk).exists():
            raise InvalidStateError(_DELETED)
        elif time.monotonic() >= until:
            raise BusyError(_OTHERS)
        else:
            time.sleep(_LOOK_AGAIN_SECONDS)


def _take_over(pk: UUID) -> ChangeClaim | None:
    """Hold a change whose writer has died; None while it is alive."""
    token = new_token("sweep")
    row = MappingChange.objects.claim([pk], token=token, now=timezone.now()).first()
    if row is None:
        return None
    logger.warning("mapping change left behind change=%s instance=%s", row.pk, row.instance_id)
    return ChangeClaim(row, token)


def _remove_dead(change: MappingChange) -> None:
    """Remove the rows that a finished change has taken away; nobody reads them any more."""
    try:
        for model in _MODELS:
            delete_in_batches(
                model._default_manager.filter(brand__instance=change.instance_id, removed_in=change.pk)
            )
    except DatabaseError as error:
        if not is_busy(error):
            raise
        logger.warning("rows left for the next sweep change=%s", change.pk)
