"""Discover what a login reaches at Amazon and compare it with what is here."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from amchelper.exceptions import AmcHelperError
from amchelper.fields import Undecryptable
from amchelper.models import User
from instances.amc.client import INTERACTIVE, AmcClient
from instances.amc.errors import AmcAuthError, AmcForbiddenError, AmcNotFoundError
from instances.amc.hosts import country_of, region_of
from instances.amc.time_limits import DISCOVERY_SECONDS, time_limit
from instances.amc.types import AccountRef, AmcInstance, InstanceRef
from instances.models import AmazonConnection, AMCInstance
from instances.models.instance import NOT_A_UUID
from instances.services.amazon import amc_client

logger = logging.getLogger(__name__)

# Accounts that are read at the same time; parallel calls trip Amazon's throttle early.
_PARALLEL_ACCOUNTS = 6
_MAX_ID, _MAX_MARKETPLACE = 64, 32


class DiscoveryKey(NamedTuple):
    """What an instance is chosen by: entity ID, marketplace and AMC ID."""

    account_id: str
    marketplace_id: str
    instance_id: str

    def __str__(self) -> str:
        return "|".join(self)

    @classmethod
    def parse(cls, text: str) -> DiscoveryKey | None:
        """Read what a form sent; None for anything else than a key."""
        parts = text.split("|")
        return cls(*parts) if len(parts) == 3 and all(parts) else None


@dataclass(frozen=True)
class AccountReading:
    """What Amazon says about one account; with an `error` its instances could not be read, or not all of them.

    `is_listed` is None where the list of accounts did not come whole.
    """

    ref: AccountRef
    name: str
    is_listed: bool | None
    instances: tuple[AmcInstance, ...] = ()
    error: AmcHelperError | None = None

    @property
    def country(self) -> str:
        """Return the country of the marketplace, empty for one that AMC opened after this was written."""
        return country_of(self.ref.marketplace_id, default="")

    @property
    def is_refused(self) -> bool:
        """Return whether Amazon neither lists the account nor lets the login read it; its instances may well exist."""
        return self.is_listed is False and isinstance(self.error, AmcForbiddenError | AmcNotFoundError)


@dataclass(frozen=True)
class LoginReading:
    """What Amazon says about a login's accounts; with an `error` it may reach more of them."""

    accounts: tuple[AccountReading, ...]
    error: AmcHelperError | None = None


class Change(NamedTuple):
    """One thing Amazon says differently now."""

    what: str
    before: str
    now: str


@dataclass(frozen=True)
class DiscoveryRow:
    """One instance on the page of discovery: at Amazon, here, or both."""

    key: DiscoveryKey
    name: str
    found: AmcInstance | None = None
    here: AMCInstance | None = None
    changes: tuple[Change, ...] = ()


@dataclass
class AccountRows:
    """One account on the page of discovery, its instances in groups."""

    reading: AccountReading
    is_known: bool
    new: list[DiscoveryRow] = field(default_factory=list)
    changed: list[DiscoveryRow] = field(default_factory=list)
    # Only what a list lacks that came whole is gone; of another one nothing is known.
    gone: list[DiscoveryRow] = field(default_factory=list)
    unread: list[DiscoveryRow] = field(default_factory=list)
    same: list[DiscoveryRow] = field(default_factory=list)
    elsewhere: list[DiscoveryRow] = field(default_factory=list)


@dataclass(frozen=True)
class Discovery:
    """What the page of discovery shows; with an `error` the login may reach more accounts."""

    accounts: list[AccountRows]
    error: AmcHelperError | None


def read_amazon(connection: AmazonConnection, only: Collection[AccountRef] | None = None) -> LoginReading:
    """Read all accounts and their instances, or the accounts in `only`; an account that fails hides no other.

    Accounts that were typed by hand are read too: an agency's login may reach some that Amazon does not list. What
    is not read in DISCOVERY_SECONDS says so. Raises AmcError when no account is listed for a reason, or the login
    is not accepted, and UndecryptableError. No transaction may be open.
    """
    here = {account.ref: account.account_name for account in connection.accounts.all()}
    with time_limit(DISCOVERY_SECONDS), ExitStack() as stack:
        clients = {connection.region: _open(connection, connection.region, stack)}
        found = clients[connection.region].list_accounts()
        listed = {account.ref: account.account_name for account in found.rows}
        names = {**here, **listed}
        refs = [ref for ref in names if _is_storable(ref) and (only is None or ref in only)]
        for ref in refs:
            region = _region(ref, connection)
            if region not in clients:
                clients[region] = _open(connection, region, stack)

        def read(ref: AccountRef) -> AccountReading:
            # Network only: the ORM stays in the calling thread.
            is_listed = True if ref in listed else None if found.error else False
            return _read_account(clients[_region(ref, connection)], ref, names[ref], is_listed=is_listed)

        with ThreadPoolExecutor(max_workers=_PARALLEL_ACCOUNTS) as pool:
            futures = [pool.submit(copy_context().run, read, ref) for ref in refs]
            readings = [future.result() for future in futures]
        _raise_dead_login(readings)
    failed = sum(reading.error is not None for reading in readings)
    logger.info("discovery read connection=%s accounts=%s failed=%s", connection.pk, len(readings), failed)
    readings.sort(key=lambda reading: (reading.name.casefold(), reading.ref.marketplace_id))
    return LoginReading(tuple(readings), found.error)


def discover(connection: AmazonConnection, user: User) -> Discovery:
    """Read Amazon and compare it with what `user` has; raises what `read_amazon` raises."""
    reading = read_amazon(connection)
    return Discovery(compare(connection, user, reading.accounts), reading.error)


def compare(connection: AmazonConnection, user: User, readings: Iterable[AccountReading]) -> list[AccountRows]:
    """Sort what Amazon says into new, changed, gone, not known, already here, and here under another account."""
    # Importing writes for the login's owner, who may be another than who asks and has the same instance too.
    visible = AMCInstance.objects.visible_to(user).filter(user=connection.user_id)
    instances = visible.select_related("account__connection")
    mine = {instance.instance_id: instance for instance in instances}
    known = {account.ref for account in connection.accounts.all()}
    by_account: dict[AccountRef, list[AMCInstance]] = {}
    for instance in mine.values():
        if instance.account.connection_id == connection.pk:
            by_account.setdefault(instance.account.ref, []).append(instance)
    accounts = []
    for reading in readings:
        rows = AccountRows(reading, is_known=reading.ref in known)
        for found in reading.instances:
            _place(rows, connection, found, mine.get(found.instance_id))
        at_amazon = {found.instance_id for found in reading.instances}
        missing = [
            DiscoveryRow(DiscoveryKey(*_pair(reading.ref), here.instance_id), here.name, here=here)
            for here in by_account.get(reading.ref, [])
            if here.instance_id not in at_amazon
        ]
        if reading.error is None:
            rows.gone = missing
        else:
            rows.unread = missing
        accounts.append(rows)
    return accounts


def is_under(here: AMCInstance, connection: AmazonConnection, ref: AccountRef) -> bool:
    """Return whether an instance belongs to this account of this login."""
    return here.account.connection_id == connection.pk and here.account.ref == ref


def changes_of(here: AMCInstance, found: AmcInstance) -> tuple[Change, ...]:
    """Return what Amazon says differently from last time; what the user renamed here is no change at Amazon."""
    config: Any = here.config
    last = {} if isinstance(config, Undecryptable) else (config or {}).get("amc") or {}
    before = {
        "Name": str(last.get("instanceName") or here.name),
        "Type": here.instance_type,
        "State": str(last.get("creationStatus") or ""),
    }
    now = {"Name": found.name, "Type": found.instance_type, "State": found.creation_status}
    # What Amazon leaves out is no change: list and single answers differ in what they hold.
    return tuple(
        Change(what, before[what], now[what])
        for what in now
        if now[what] and now[what] != before[what] and not (what == "State" and not last)
    )


def _place(rows: AccountRows, connection: AmazonConnection, found: AmcInstance, here: AMCInstance | None) -> None:
    ref = rows.reading.ref
    key = DiscoveryKey(*_pair(ref), found.instance_id)
    if here is None:
        rows.new.append(DiscoveryRow(key, found.name or found.instance_id, found))
    elif not is_under(here, connection, ref):
        rows.elsewhere.append(DiscoveryRow(key, here.name, found, here))
    elif changes := changes_of(here, found):
        rows.changed.append(DiscoveryRow(key, here.name, found, here, changes))
    else:
        rows.same.append(DiscoveryRow(key, here.name, found, here))


def _pair(ref: AccountRef) -> tuple[str, str]:
    return ref.account_id, ref.marketplace_id


def _open(connection: AmazonConnection, region: str, stack: ExitStack) -> AmcClient:
    client = amc_client(connection, region, policy=INTERACTIVE, pool_size=_PARALLEL_ACCOUNTS)
    return stack.enter_context(client)


def _region(ref: AccountRef, connection: AmazonConnection) -> str:
    return region_of(ref.marketplace_id, default=connection.region)


def _read_account(client: AmcClient, ref: AccountRef, name: str, *, is_listed: bool | None) -> AccountReading:
    try:
        found = client.list_instances(ref)
    except AmcHelperError as error:
        return AccountReading(ref, name, is_listed, error=error)
    usable = tuple(sorted(filter(_has_usable_id, found.rows), key=lambda each: each.name.casefold()))
    if len(usable) < len(found.rows):
        logger.warning("discovery skipped instances without a usable ID count=%s", len(found.rows) - len(usable))
    return AccountReading(ref, name, is_listed, usable, found.error)


def _is_storable(ref: AccountRef) -> bool:
    return 0 < len(ref.account_id) <= _MAX_ID and 0 < len(ref.marketplace_id) <= _MAX_MARKETPLACE


def _has_usable_id(found: AmcInstance) -> bool:
    try:
        InstanceRef(found.instance_id, AccountRef("", ""))  # refuses every spelling of a UUID
    except ValueError:
        return False
    return len(found.instance_id) <= _MAX_ID and re.match(NOT_A_UUID, found.instance_id) is not None


def _raise_dead_login(readings: Iterable[AccountReading]) -> None:
    """A revoked login fails every account: say it once, where it is noted on the connection."""
    for reading in readings:
        if isinstance(reading.error, AmcAuthError) and reading.error.reason == "reconnect_required":
            raise reading.error
