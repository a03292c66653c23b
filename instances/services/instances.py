"""Create, change, enable and disable instances; where needed, a connection test comes first."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from amc_facts.timing import ATTRIBUTION_DAYS
from amchelper.access import pk_of
from amchelper.models import User
from instances.errors import InstanceConnectionError, InvalidInstanceConfiguration, StaleInstanceError
from instances.models import AMCAccount, AMCInstance, Event, HealthCheck, HealthCheckBatch
from instances.services.brands import clean_names, replace_brands
from instances.services.configuration import invalidate_configuration
from instances.services.connection_test import ConnectionTest, run_connection_test
from instances.services.health.batches import check_instance
from instances.services.health.history import record_batch

logger = logging.getLogger(__name__)

DUPLICATE = "You have this AMC instance already."
STALE = (
    "This instance was changed since you opened the page. What you typed is kept; "
    "look at the differences and save again to overwrite them."
)
_DETAILS = ("name", "description", "region", "lag_days")
# A verdict is about an AMC ID in an account; of another one nothing is known yet.
_FORGOTTEN = {
    "health_status": None,
    "health_reason": "",
    "health_error": "",
    "health_settled": None,
    "health_since": None,
    "health_latency_ms": None,
    "last_health_check": None,
    "consecutive_errors": 0,
}


@dataclass(frozen=True)
class InstanceValues:
    """What a user says about an instance."""

    account: AMCAccount
    instance_id: str
    name: str
    description: str = ""
    region: str = ""
    brands: tuple[str, ...] = ()
    lag_days: int = ATTRIBUTION_DAYS

    @classmethod
    def of(cls, instance: AMCInstance) -> InstanceValues:
        """Return what is saved."""
        return cls(
            account=instance.account,
            instance_id=instance.instance_id,
            name=instance.name,
            description=instance.description,
            region=instance.region,
            brands=tuple(brand.name for brand in instance.brands.all()),
            lag_days=instance.lag_days,
        )

    @property
    def effective_region(self) -> str:
        """Return the region of the host to call: the one chosen, or the marketplace's."""
        return self.region or self.account.region

    def needs_test(self, instance: AMCInstance) -> bool:
        """Return whether these values reach another place than the saved ones."""
        saved = (instance.account_id, instance.instance_id, instance.region or instance.account.region)
        return saved != (self.account.pk, self.instance_id, self.effective_region)


def version_of(instance: AMCInstance) -> str:
    """Return a fingerprint of what the form edits; checks and the life cycle do not change it."""
    values = InstanceValues.of(instance)
    text = json.dumps(
        [
            str(instance.account_id),
            values.instance_id,
            values.name,
            values.description,
            values.region,
            sorted(values.brands),
            values.lag_days,
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def try_connection(values: InstanceValues) -> ConnectionTest:
    """Test the connection with values that are not saved yet; no transaction may be open."""
    account = values.account
    return run_connection_test(account.connection, account.ref, values.effective_region, values.instance_id)


def save_tested(
    *,
    actor: User,
    values: InstanceValues,
    test: ConnectionTest,
    instance: AMCInstance | None = None,
    version: str = "",
) -> AMCInstance:
    """Save values that `test` just proved, and record the proof as a probe; a new instance is the actor's.

    Raises InstanceConnectionError when the test failed, InvalidInstanceConfiguration for values that cannot
    be, StaleInstanceError when `version` is no longer the saved one.
    """
    found = test.found
    if not test.passed or found is None:
        failure = test.failure
        raise InstanceConnectionError(failure.message if failure else "The connection test failed.", test=test)
    with _duplicates_explained(actor, values, instance), transaction.atomic():
        saved = _write(actor, values, instance, version)
        saved.instance_type = found.instance_type[:32]
        saved.remember(found.raw)
        saved.save(update_fields=["instance_type", "config", "updated_at"])
        record_batch([test.result_for(saved.pk)], actor=actor)
    saved.refresh_from_db()
    return saved


def save_draft(
    *, actor: User, values: InstanceValues, instance: AMCInstance | None = None, version: str = ""
) -> AMCInstance:
    """Save values without a passed test: PENDING until a check finds it healthy. Raises as `save_tested`."""
    with _duplicates_explained(actor, values, instance), transaction.atomic():
        saved = _write(actor, values, instance, version)
    saved.refresh_from_db()
    return saved


def save_details(*, actor: User, values: InstanceValues, instance: AMCInstance, version: str = "") -> AMCInstance:
    """Save name, description and brands, which need no test. Raises as `save_tested`."""
    if values.needs_test(instance):
        raise InvalidInstanceConfiguration("Another account, AMC ID or region must be tested before it is saved.")
    return save_draft(actor=actor, values=values, instance=instance, version=version)


def relink(*, actor: User, instance: AMCInstance, account: AMCAccount) -> AMCInstance:
    """Test the instance in another account of the user and save it there. Raises as `save_tested`."""
    values = dataclasses.replace(InstanceValues.of(instance), account=account, region="")
    _refuse_foreign_account(actor, values)
    return save_tested(actor=actor, values=values, test=try_connection(values), instance=instance)


def enable(*, instance: AMCInstance, actor: User | None) -> HealthCheck:
    """Enable and check at once; raises InvalidStateError when it is enabled already, or as `check_instance`."""
    enable_unchecked(instance=instance, actor=actor)
    return check_instance(instance, actor=actor, trigger=HealthCheckBatch.Trigger.SAVE)


def enable_unchecked(*, instance: AMCInstance, actor: User | None) -> None:
    """Enable one of many, which the caller has checked; raises InvalidStateError when it is enabled already."""
    _apply(instance, Event.ENABLE, actor)


def disable(*, instance: AMCInstance, actor: User | None) -> None:
    """Disable; raises InvalidStateError when it is disabled already."""
    _apply(instance, Event.DISABLE, actor)


def rename(*, instance: AMCInstance, actor: User | None) -> None:
    """Save a changed name and description, and nothing that a check may have written meanwhile."""
    with transaction.atomic():
        instance.save(update_fields=["name", "description", "updated_at"])
        invalidate_configuration([instance.pk])
    logger.info("instance renamed instance=%s actor=%s", instance.pk, pk_of(actor))


def _apply(instance: AMCInstance, event: Event, actor: User | None) -> None:
    with transaction.atomic():
        instance.apply(event)
        invalidate_configuration([instance.pk])
    logger.info("instance %sd instance=%s actor=%s", event.lower(), instance.pk, pk_of(actor))


def _write(actor: User, values: InstanceValues, instance: AMCInstance | None, version: str) -> AMCInstance:
    """Write the row and its brands; inside a transaction."""
    _refuse_foreign_account(actor, values)
    brands = clean_names(values.brands)
    if instance is None:
        saved = AMCInstance(user=actor)
        _set(saved, values)
        saved.save(force_insert=True)
    else:
        saved = _locked(instance, version)
        moves = values.needs_test(saved)
        _set(saved, values)
        # Named fields only: a check may write its verdict at the same time.
        saved.save(update_fields=["account", "instance_id", *_DETAILS, "updated_at"])
        if moves:
            AMCInstance.objects.filter(pk=saved.pk).update(**_FORGOTTEN)
            saved.apply(Event.RELINK)
    replace_brands(saved, brands, actor=actor)
    invalidate_configuration([saved.pk])
    logger.info("instance saved instance=%s actor=%s", saved.pk, pk_of(actor))
    return saved


def _locked(instance: AMCInstance, version: str) -> AMCInstance:
    saved = (
        AMCInstance.objects.select_for_update(of=("self",))
        .select_related("account__connection")
        .filter(pk=instance.pk)
        .first()
    )
    if saved is None:
        raise StaleInstanceError("This instance was deleted since you opened the page.")
    if version and version != version_of(saved):
        raise StaleInstanceError(STALE)
    return saved


def _set(instance: AMCInstance, values: InstanceValues) -> None:
    instance.account, instance.instance_id = values.account, values.instance_id
    instance.name, instance.description = values.name, values.description
    instance.region, instance.lag_days = values.effective_region, values.lag_days


def _refuse_foreign_account(actor: User, values: InstanceValues) -> None:
    if not AMCAccount.objects.editable_by(actor).filter(pk=values.account.pk).exists():
        raise InvalidInstanceConfiguration("Choose one of your own accounts.", field="account")


class _duplicates_explained:  # noqa: N801  reads as a clause of `with`
    """Turn the unique constraint's refusal, also in a race, into an error of the form's field."""

    def __init__(self, actor: User, values: InstanceValues, instance: AMCInstance | None) -> None:
        self.values, self.instance = values, instance
        self.owner_id = instance.user_id if instance else actor.pk

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, IntegrityError):
            return
        twins = AMCInstance.objects.filter(user=self.owner_id, instance_id=self.values.instance_id)
        if self.instance is not None:
            twins = twins.exclude(pk=self.instance.pk)
        if twins.exists():
            raise InvalidInstanceConfiguration(DUPLICATE, field="instance_id") from error


def changed_fields(instance: AMCInstance, values: InstanceValues) -> Iterable[tuple[str, str, str]]:
    """Return label, saved value and typed value of every field that differs."""
    saved = InstanceValues.of(instance)
    rows = (
        ("Name", saved.name, values.name),
        ("Description", saved.description, values.description),
        ("Account", str(saved.account), str(values.account)),
        ("AMC instance ID", saved.instance_id, values.instance_id),
        ("Region", saved.effective_region, values.effective_region),
        ("Days of lag", str(saved.lag_days), str(values.lag_days)),
        ("Brands", ", ".join(sorted(saved.brands)), ", ".join(sorted(values.brands))),
    )
    return [row for row in rows if row[1] != row[2]]
