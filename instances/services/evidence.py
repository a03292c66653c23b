"""Where an instance is that is not where it was looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amchelper.exceptions import AmcHelperError
from instances.amc.client import PROBE
from instances.amc.types import AccountRef, AmcAccount, InstanceRef
from instances.models import AmazonConnection, AMCAccount
from instances.services.amazon import amc_client

# Somebody waits for the answer.
_MOST_ACCOUNTS = 8


@dataclass(frozen=True)
class Whereabouts:
    """The account that has an instance, and its name."""

    account: AccountRef
    name: str


def find_elsewhere(
    connection: AmazonConnection, ref: InstanceRef, listed: Sequence[AmcAccount] | None
) -> Whereabouts | None:
    """Look for the instance in the login's other accounts; None when it is not there or Amazon does not tell.

    Only accounts that were discovered already are asked: at Amazon listing instances can create the first
    one of a new account (amc-api, instances), which a test must not do.
    """
    refs = {account.ref for account in listed or []}
    others = [
        account
        for account in AMCAccount.objects.filter(connection=connection).select_related("connection")
        if account.ref != ref.account and (not refs or account.ref in refs)
    ]
    # The same entity in another marketplace is the likelier mistake.
    others.sort(key=lambda account: account.account_id != ref.account.account_id)
    for account in others[:_MOST_ACCOUNTS]:
        try:
            with amc_client(connection, account.region, patience=PROBE) as client:
                found = client.list_instances(account.ref)
        except AmcHelperError:
            continue  # no evidence from this one
        if any(instance.instance_id == ref.instance_id for instance in found):
            return Whereabouts(account.ref, account.account_name or account.account_id)
    return None
