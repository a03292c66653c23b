"""Import chosen instances: Amazon is asked again, the database is written in few statements per hundred."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from amchelper.access import pk_of
from amchelper.bulk import batches, update_rows
from amchelper.exceptions import AmcHelperError, InvalidStateError
from amchelper.models import User
from instances.amc.hosts import country_of, region_of
from instances.amc.types import AccountRef, AmcInstance
from instances.models import AmazonConnection, AMCAccount, AMCInstance
from instances.services.configuration import invalidate_configuration
from instances.services.discovery import (
    AccountReading,
    DiscoveryKey,
    LoginReading,
    changes_of,
    is_under,
    read_amazon,
)
from instances.services.health.history import record_batch
from instances.services.health.probing import result_of_answer

logger = logging.getLogger(__name__)

_MAX_NAME = 255
_MAX_TYPE = 32
# Instances per transaction: each is encrypted, written and probed in it.
_INSTANCES_AT_A_TIME = 100

# An instance here, and what Amazon says about it.
Pair = tuple[AMCInstance, AmcInstance]


@dataclass(frozen=True)
class ImportResult:
    """What an import did.

    `missing` counts chosen ones that are in no list any more, `unread` those whose list did not come whole. With an
    `error` the list of accounts itself did not.
    """

    created: tuple[UUID, ...] = ()
    updated: int = 0
    unchanged: int = 0
    elsewhere: int = 0
    missing: int = 0
    unread: int = 0
    failed: tuple[AccountReading, ...] = ()
    error: AmcHelperError | None = None

    def plus(self, part: ImportResult) -> ImportResult:
        """Return this with what came of a part of the instances."""
        return replace(
            self,
            created=self.created + part.created,
            updated=self.updated + part.updated,
            unchanged=self.unchanged + part.unchanged,
            elsewhere=self.elsewhere + part.elsewhere,
        )


def import_instances(
    *, connection: AmazonConnection, actor: User, keys: Collection[DiscoveryKey] | None = None
) -> ImportResult:
    """Import the chosen instances for the login's owner, or everything new for None; twice changes nothing.

    Never enables, disables or moves an instance. Raises what `read_amazon` raises, and InvalidStateError when
    the connection was deleted meanwhile, which cannot be once it has instances.
    """
    only = None if keys is None else {AccountRef(key.account_id, key.marketplace_id) for key in keys}
    login = read_amazon(connection, only)
    readings = login.accounts
    chosen = _chosen(readings, keys)
    missing, unread = _not_found(login, set(keys or ()) - set(chosen))
    result = ImportResult(
        missing=missing,
        unread=unread,
        failed=tuple(reading for reading in readings if reading.error),
        error=login.error,
    )
    with transaction.atomic():
        _lock(connection)
        _rename_accounts(connection, readings)
    # Each part is whole by itself; one that was not reached is imported by doing it again.
    for part in batches(list(chosen.items()), _INSTANCES_AT_A_TIME):
        with transaction.atomic():
            _lock(connection)
            result = result.plus(
                _import(connection, dict(part), readings, actor=actor, takes_new_only=keys is None)
            )
    logger.info(
        "import finished connection=%s actor=%s created=%s updated=%s",
        connection.pk, pk_of(actor), len(result.created), result.updated,
    )  # fmt: skip
    return result


def _lock(connection: AmazonConnection) -> None:
    """Let two tabs that import through the same login take turns; raises InvalidStateError."""
    if not AmazonConnection.objects.select_for_update().filter(pk=connection.pk).exists():
        raise InvalidStateError("This connection was deleted meanwhile, so nothing was imported.")


def _import(
    connection: AmazonConnection,
    chosen: dict[DiscoveryKey, AmcInstance],
    readings: Iterable[AccountReading],
    *,
    actor: User,
    takes_new_only: bool,
) -> ImportResult:
    mine = _mine(connection.user_id, {key.instance_id for key in chosen})
    new = {key: found for key, found in chosen.items() if key.instance_id not in mine}
    created = _create(connection, new, readings)
    under = {
        key: (mine[key.instance_id], found)
        for key, found in chosen.items()
        if key.instance_id in mine
        and is_under(mine[key.instance_id], connection, AccountRef(key.account_id, key.marketplace_id))
    }
    # Everything new means just that: a changed name is only taken over when it was chosen.
    updated = [] if takes_new_only else _update(list(under.values()))
    _record(actor, [*created, *(pair for pair in updated if pair[0].is_active)])
    return ImportResult(
        created=tuple(instance.pk for instance, _ in created),
        updated=len(updated),
        unchanged=len(under) - len(updated) + len(new) - len(created),
        elsewhere=len(chosen) - len(new) - len(under),
    )


def _chosen(
    readings: Iterable[AccountReading], keys: Collection[DiscoveryKey] | None
) -> dict[DiscoveryKey, AmcInstance]:
    wanted = None if keys is None else set(keys)
    found = {
        DiscoveryKey(reading.ref.account_id, reading.ref.marketplace_id, instance.instance_id): instance
        for reading in readings
        for instance in reading.instances
    }
    return {key: instance for key, instance in found.items() if wanted is None or key in wanted}


def _not_found(login: LoginReading, keys: Collection[DiscoveryKey]) -> tuple[int, int]:
    """Count the chosen ones that Amazon did not show: those that are gone, and those of which it said nothing."""
    whole = {reading.ref for reading in login.accounts if reading.error is None}
    read = {reading.ref for reading in login.accounts}
    refs = [AccountRef(key.account_id, key.marketplace_id) for key in keys]
    # An account that was not even read is gone itself, unless it may be in the rest of the list.
    gone = sum(ref in whole or (ref not in read and login.error is None) for ref in refs)
    return gone, len(refs) - gone


def _mine(owner_pk: UUID, instance_ids: Collection[str]) -> dict[str, AMCInstance]:
    # Locked where the database can: a rename in another tab must not be undone by our update.
    instances = (
        AMCInstance.objects.filter(user=owner_pk, instance_id__in=instance_ids)
        .select_related("account")
        .select_for_update(of=("self",))
    )
    return {instance.instance_id: instance for instance in instances}


def _rename_accounts(connection: AmazonConnection, readings: Iterable[AccountReading]) -> None:
    names = {reading.ref: reading.name[:_MAX_NAME] for reading in readings if reading.is_listed}
    renamed = []
    for account in connection.accounts.all():
        name = names.get(account.ref, "")
        if name and name != account.account_name:
            account.account_name, account.updated_at = name, timezone.now()
            renamed.append(account)
    if renamed:
        AMCAccount.objects.bulk_update(renamed, ["account_name", "updated_at"])


def _create(
    connection: AmazonConnection,
    new: dict[DiscoveryKey, AmcInstance],
    readings: Iterable[AccountReading],
) -> list[Pair]:
    if not new:
        return []
    names = {reading.ref: reading.name for reading in readings}
    refs = {AccountRef(key.account_id, key.marketplace_id) for key in new}
    accounts = _accounts(connection, {ref: names[ref] for ref in refs})
    made: dict[str, Pair] = {}
    config: Any
    for key, found in new.items():
        account = accounts[AccountRef(key.account_id, key.marketplace_id)]
        config = {"amc": dict(found.raw)}
        instance = AMCInstance(
            user_id=connection.user_id,
            account=account,
            instance_id=found.instance_id,
            name=(found.name or found.instance_id)[:_MAX_NAME],
            instance_type=found.instance_type[:_MAX_TYPE],
            region=region_of(account.marketplace_id, default=connection.region),
            config=config,
        )
        # Two accounts may list the same instance; it is ours once.
        made.setdefault(found.instance_id, (instance, found))
    AMCInstance.objects.bulk_create([instance for instance, _ in made.values()], ignore_conflicts=True)
    # What another tab inserted first has another key and was left alone.
    pks = [instance.pk for instance, _ in made.values()]
    inserted = set(AMCInstance.objects.filter(pk__in=pks).values_list("pk", flat=True))
    return [pair for pair in made.values() if pair[0].pk in inserted]


def _accounts(connection: AmazonConnection, names: dict[AccountRef, str]) -> dict[AccountRef, AMCAccount]:
    """Return the accounts of `names`, those that are not here yet created."""
    AMCAccount.objects.bulk_create(
        [
            AMCAccount(
                connection=connection,
                account_id=ref.account_id,
                account_name=name[:_MAX_NAME],
                marketplace_id=ref.marketplace_id,
                country_code=country_of(ref.marketplace_id, default=""),
            )
            for ref, name in names.items()
        ],
        ignore_conflicts=True,
    )
    return {account.ref: account for account in connection.accounts.all()}


def _update(pairs: Iterable[Pair]) -> list[Pair]:
    """Take over what Amazon says differently; whether it is enabled, and its status, stay as they are."""
    updated = []
    for instance, found in pairs:
        changes = {change.what: change.now for change in changes_of(instance, found)}
        if not changes:
            continue
        instance.name = changes.get("Name", instance.name)[:_MAX_NAME]
        instance.instance_type = changes.get("Type", instance.instance_type)[:_MAX_TYPE]
        instance.remember(found.raw)
        instance.updated_at = timezone.now()
        updated.append((instance, found))
    if updated:
        instances = [instance for instance, _ in updated]
        update_rows(instances, ["name", "instance_type", "config", "updated_at"])
        invalidate_configuration([instance.pk for instance in instances])
    return updated


def _record(actor: User, pairs: Sequence[Pair]) -> None:
    """Count Amazon's description as a first probe, so that imported instances have their verdict at once."""
    if not pairs:
        return
    record_batch([result_of_answer(instance.pk, instance.ref, found) for instance, found in pairs], actor=actor)
