"""The AMC client: typed results or one family of errors; nothing above it knows HTTP."""

from __future__ import annotations

from urllib.parse import quote

from instances.amc.calls import PAGE_SIZE, Pages, Request
from instances.amc.fields import read_text, unwrap
from instances.amc.reporting import ReportingCalls
from instances.amc.responses import unexpected
from instances.amc.transport import BACKGROUND, INTERACTIVE, PROBE, RetryPolicy
from instances.amc.types import (
    AccountRef,
    AmcAccount,
    AmcInstance,
    InstanceRef,
    Listing,
    parse_account,
    parse_instance,
)

__all__ = ["BACKGROUND", "INTERACTIVE", "PROBE", "AmcClient", "RetryPolicy"]

_MAX_PAGES = 200


class AmcClient(ReportingCalls):
    """Talk to AMC in one region with one login; safe to share between threads.

    Administration is here, reporting in `reporting`, what all calls have in common in `calls`.
    """

    def list_accounts(self) -> Listing[AmcAccount]:
        """Return the AMC accounts the login administers; an agency's login may reach others too."""
        # The pair is the identity.
        pages = Pages("/amc/accounts", "amcAccounts", ("accountId", "marketplaceId"), None, _MAX_PAGES)
        return self._listing(pages, lambda raw, _: parse_account(raw))

    def list_instances(self, account: AccountRef) -> Listing[AmcInstance]:
        """Return the instances of an account in its marketplace."""
        query = {"limit": str(PAGE_SIZE)}
        pages = Pages("/amc/instances", "instances", ("instanceId",), account, _MAX_PAGES, query)
        return self._listing(pages, parse_instance)

    def get_instance(self, instance: InstanceRef) -> AmcInstance:
        """Return one instance; the cheapest call that proves login, headers, instance and state together."""
        path = f"/amc/instances/{quote(instance.instance_id, safe='')}"
        payload, call = self._call(Request("GET", path, instance.account))
        raw = unwrap(payload, "instance")
        if not raw or not read_text(raw, "instanceId"):
            raise unexpected("a description of the instance", payload, call)
        return parse_instance(raw, call)
