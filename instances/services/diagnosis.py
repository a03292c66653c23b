"""What a login's other accounts hold, to tell where an instance is that is not where it was looked for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from amchelper.exceptions import AmcHelperError
from instances.amc.client import PROBE
from instances.amc.types import AccountRef, AmcAccount, InstanceRef, Listing
from instances.models import AmazonConnection, AMCAccount
from instances.services.amazon import amc_client

# The user waits for the answer.
_MAX_ACCOUNTS = 8
_ALIKE = 0.75
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class AccountInventory:
    """The instances of one account; `name` is empty for the account that was asked about."""

    account: AccountRef
    name: str
    instance_ids: tuple[str, ...]


def other_inventories(
    connection: AmazonConnection, ref: InstanceRef, listed: Listing[AmcAccount]
) -> list[AccountInventory]:
    """Return what the login's other accounts hold, as far as Amazon tells; nothing after the one with the instance.

    Only accounts that were discovered already are asked: at Amazon, listing instances can create the first
    one of a new account, which a test must not do.
    """
    # An account that is missing from a part of the list may be in the rest.
    refs = {account.ref for account in listed.rows} if listed.error is None else set()
    others = [
        account
        for account in AMCAccount.objects.filter(connection=connection).select_related("connection")
        if account.ref != ref.account and (not refs or account.ref in refs)
    ]
    # The same entity in another marketplace is the likelier mistake.
    others.sort(key=lambda account: account.account_id != ref.account.account_id)
    inventories = []
    for account in others[:_MAX_ACCOUNTS]:
        try:
            with amc_client(connection, account.region, policy=PROBE) as client:
                found = client.list_instances(account.ref)
        except AmcHelperError:
            continue  # this one tells nothing
        name = account.account_name or account.account_id
        inventories.append(
            AccountInventory(account.ref, name, tuple(instance.instance_id for instance in found.rows))
        )
        if ref.instance_id in inventories[-1].instance_ids:
            break
    return inventories


def suggestion(ref: InstanceRef, here: AccountInventory, others: Sequence[AccountInventory]) -> str:
    """Name IDs like the unknown one, or what the account has instead."""
    scored = sorted(
        (
            (
                _likeness(ref.instance_id, other_id),
                f"{other_id} ({inventory.name})" if inventory.name else other_id,
            )
            for inventory in (here, *others)
            for other_id in inventory.instance_ids
        ),
        key=lambda pair: (-pair[0], pair[1]),
    )
    close = [text for likeness, text in scored[:2] if likeness >= _ALIKE]
    if close:
        return f"Did you mean {' or '.join(close)}?"
    if here.instance_ids:
        some = sorted(here.instance_ids)
        more = f" and {len(some) - _NAMES_SHOWN} more" if len(some) > _NAMES_SHOWN else ""
        return f"Check the ID in the AMC console. The account has {', '.join(some[:_NAMES_SHOWN])}{more}."
    return "This account has no instance in this marketplace. Check the ID, or choose another account."


def _likeness(typed: str, other: str) -> float:
    return difflib.SequenceMatcher(None, typed.lower(), other.lower()).ratio()
