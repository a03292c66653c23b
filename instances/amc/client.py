"""The AMC client: typed results or one family of errors; nothing above it knows HTTP."""

from __future__ import annotations

from urllib.parse import quote

from instances.amc.calls import PAGE_SIZE, Request
from instances.amc.errors import AmcMalformedError
from instances.amc.fields import unwrap
from instances.amc.reporting import ReportingCalls
from instances.amc.transport import BACKGROUND, INTERACTIVE, PROBE, RetryPolicy
from instances.amc.types import AccountRef, AmcAccount, AmcInstance, InstanceRef, parse_account, parse_instance

__all__ = ["BACKGROUND", "INTERACTIVE", "PROBE", "AmcClient", "RetryPolicy"]

_MAX_PAGES = 200


class AmcClient(ReportingCalls):
    """Talk to AMC in one region with one login; safe to share between threads.

    Administration is here, reporting in `reporting`, what all calls have in common in `calls`.
    """

    def list_accounts(self) -> list[AmcAccount]:
        """Return the AMC accounts the login administers; an agency's login may reach others too."""
        rows = self._pages("/amc/accounts", "amcAccounts", None, {}, max_pages=_MAX_PAGES)
        accounts = [parse_account(raw) for raw, _ in rows]
        # The pair is the identity; a page that comes again must not double it.
        return list({account.ref: account for account in accounts}.values())

    def list_instances(self, account: AccountRef) -> list[AmcInstance]:
        """Return all instances of an account in its marketplace."""
        rows = self._pages("/amc/instances", "instances", account, {"limit": str(PAGE_SIZE)}, max_pages=_MAX_PAGES)
        instances = [parse_instance(raw, call) for raw, call in rows]
        return list({instance.instance_id: instance for instance in instances}.values())

    def get_instance(self, instance: InstanceRef) -> AmcInstance:
        """Return one instance; the cheapest call that proves login, headers, instance and state together."""
        path = f"/amc/instances/{quote(instance.instance_id, safe='')}"
        payload, call = self._call(Request("GET", path, instance.account))
        raw = unwrap(payload, "instance")
        if not raw:
            raise AmcMalformedError("Amazon's answer does not describe an instance. Try again later.", call=call)
        return parse_instance(raw, call)
