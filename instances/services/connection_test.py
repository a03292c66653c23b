"""The connection test of an instance: steps from the login up to reporting rights, each with cause and fix."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

from amchelper.exceptions import AmcHelperError
from instances.amc.client import AmcClient
from instances.amc.errors import AmcAuthError, AmcCredentialsError, AmcError, AmcNotFoundError
from instances.amc.hosts import country_of
from instances.amc.time_limits import PAGE_SECONDS, time_limit
from instances.amc.types import AccountRef, AmcAccount, AmcInstance, InstanceRef, Listing
from instances.models import AmazonConnection
from instances.models.reasons import reason_of
from instances.services.amazon import amc_client
from instances.services.diagnosis import AccountInventory, other_inventories, suggestion
from instances.services.health.probing import ProbeResult, result_of_answer, result_of_error

LABELS = {
    "token": "Amazon login",
    "account": "Account (entity ID)",
    "marketplace": "Marketplace",
    "instance": "Instance",
    "state": "State",
    "reporting": "Reporting rights",
}
_NOBODY = UUID(int=0)
# Answers that tell nothing about what was asked; asking more would only make the wait longer.
_NO_ANSWER = frozenset({"network", "too_slow", "throttled", "wrong_host"})
# Answers that do not even prove the login: whoever gave them may not have been Amazon.
_NO_PROOF = frozenset({"malformed_response", "unexpected_answer"})
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class TestStep:
    """One step of the test; `status` is passed, failed or skipped."""

    key: str
    status: str
    message: str = ""
    fix: str = ""

    @property
    def label(self) -> str:
        """Return the step's name."""
        return LABELS[self.key]


@dataclass(frozen=True)
class ConnectionTest:
    """How far the test came; `result` is the probe to store, about no instance yet."""

    steps: tuple[TestStep, ...]
    passed: bool
    found: AmcInstance | None
    result: ProbeResult

    @property
    def failure(self) -> TestStep | None:
        """Return the step that broke."""
        return next((step for step in self.steps if step.status == "failed"), None)

    def result_for(self, instance_pk: UUID) -> ProbeResult:
        """Return the probe under the key of the instance it was about."""
        return dataclasses.replace(self.result, instance_pk=instance_pk)


class _Broken(Exception):  # noqa: N818  ends the test, it is not an error
    def __init__(self, key: str, message: str, fix: str, error: Exception) -> None:
        super().__init__(message)
        self.step = TestStep(key, "failed", message, fix)
        self.error = error


def run_connection_test(
    connection: AmazonConnection, account: AccountRef, region: str, instance_id: str
) -> ConnectionTest:
    """Test an instance with at most a few calls in PAGE_SECONDS; whatever Amazon does ends in a step.

    No transaction may be open. An instance that answers needs two calls; only a failure is looked into.
    """
    passed: dict[str, str] = {}
    found: AmcInstance | None = None
    try:
        ref = _ref(account, instance_id)
        try:
            with time_limit(PAGE_SECONDS), amc_client(connection, region) as client:
                found = _run_steps(client, connection, ref, region, passed)
        except AmcHelperError as error:
            # A login that is refused is the first step, whichever call found it out.
            raise _broken("token", error) from error
    except _Broken as broken:
        result = result_of_error(_NOBODY, broken.error)
        return ConnectionTest(_steps(passed, broken.step), False, found, result)
    return ConnectionTest(_steps(passed, None), True, found, result_of_answer(_NOBODY, ref, found))


def _ref(account: AccountRef, instance_id: str) -> InstanceRef:
    try:
        return InstanceRef(instance_id=instance_id, account=account)
    except ValueError as error:
        raise _Broken(
            "instance", str(error), "Copy the ID from Instance info in the AMC console.", error
        ) from error


def _run_steps(
    client: AmcClient, connection: AmazonConnection, ref: InstanceRef, region: str, passed: dict[str, str]
) -> AmcInstance:
    try:
        found = client.get_instance(ref)
    except (AmcAuthError, AmcCredentialsError):
        raise
    except AmcError as error:
        if error.reason in _NO_ANSWER:
            raise _broken("token", error) from error
        _explain(client, connection, ref, region, passed, error)
    passed["token"] = f"Amazon accepts the login “{connection.label}”."
    passed["account"] = f"{ref.account.account_id} may use the instance."
    passed["marketplace"] = f"{_place(ref.account.marketplace_id)} is the instance's marketplace."
    _check_state(ref, found, passed)
    _check_reporting(client, ref, passed)
    return found


def _check_state(ref: InstanceRef, found: AmcInstance, passed: dict[str, str]) -> None:
    result = result_of_answer(_NOBODY, ref, found)
    fix = reason_of(result.reason).fix
    error = AmcError(result.error, reason=result.reason, call=found.call)
    if result.reason in _NO_PROOF:
        raise _Broken("instance", result.error, fix, error)
    about = ", ".join(word for word in (found.name, found.instance_type.lower()) if word)
    passed["instance"] = f"Found {ref.instance_id}{f': {about}' if about else ''}."
    if result.reason:
        raise _Broken("state", result.error, fix, error)
    passed["state"] = f"Amazon reports {found.creation_status}."


def _check_reporting(client: AmcClient, ref: InstanceRef, passed: dict[str, str]) -> None:
    try:
        client.check_reporting(ref)
    except (AmcAuthError, AmcCredentialsError):
        raise
    except AmcError as error:
        fix = reason_of(error.reason).fix
        if error.reason in {"forbidden", "not_found"}:
            fix = "Ask an administrator of the AMC account to let this login run reports on the instance."
        raise _Broken("reporting", error.message, fix, error) from error
    passed["reporting"] = "Workflows can be read and run."


def _explain(
    client: AmcClient,
    connection: AmazonConnection,
    ref: InstanceRef,
    region: str,
    passed: dict[str, str],
    error: AmcError,
) -> NoReturn:
    """Find out which step a refusal belongs to, from what the login can list; always raises _Broken."""
    listed = _listed_accounts(client, error)
    passed["token"] = f"Amazon accepts the login “{connection.label}”."
    if error.reason == "terms_required":
        # The refusal is about the person, not about what was typed.
        raise _broken("account", error) from error
    if listed.error is not None and listed.error.reason in _NO_ANSWER:
        _stop_looking("account", error, listed.error)
    here = _instances_here(client, ref, listed.rows, passed)
    passed["account"] = f"The login reaches {ref.account.account_id}."
    passed["marketplace"] = f"{ref.account.account_id} is in {_place(ref.account.marketplace_id)}."
    own = AccountInventory(ref.account, "", tuple(instance.instance_id for instance in here.rows))
    if ref.instance_id in own.instance_ids:
        _refuse_listed(ref, error)
    others = other_inventories(connection, ref, listed)
    for other in others:
        if ref.instance_id in other.instance_ids:
            _name_right_account(other, ref, passed, error)
    if here.error is not None:
        # It may be in the part of the list that did not come.
        _stop_looking("instance", error, here.error)
    raise _Broken("instance", _unknown(ref, error), suggestion(ref, own, others), error) from error


def _listed_accounts(client: AmcClient, error: AmcError) -> Listing[AmcAccount]:
    """Return the accounts the login lists, as far as Amazon tells."""
    try:
        return client.list_accounts()
    except (AmcAuthError, AmcCredentialsError):
        raise
    except AmcError as second:
        if error.transient or error.reason in _NO_PROOF:
            raise _broken("token", error) from second
        # A definite answer to the first call already proved the login.
        return Listing((), second)


def _stop_looking(key: str, error: AmcError, why: AmcError) -> NoReturn:
    """End where Amazon refused something and what is wrong could not be found out, saying both."""
    message = f"{error.message} What exactly is wrong could not be found out: {why.message}"
    raise _Broken(key, message, reason_of(why.reason).fix, error) from why


def _instances_here(
    client: AmcClient, ref: InstanceRef, listed: Sequence[AmcAccount], passed: dict[str, str]
) -> Listing[AmcInstance]:
    account = ref.account
    try:
        return client.list_instances(account)
    except (AmcAuthError, AmcCredentialsError):
        raise
    except AmcNotFoundError as error:
        passed["account"] = f"The login reaches {account.account_id}."
        places = sorted(_place(a.marketplace_id) for a in listed if a.account_id == account.account_id)
        known = f" Amazon lists it in {', '.join(places)}." if places else ""
        raise _Broken(
            "marketplace",
            f"{account.account_id} is not in the marketplace {_place(account.marketplace_id)}.{known}",
            "Choose the account with the right marketplace"
            + (f": {' or '.join(places)}." if places else ", or discover the login's accounts again."),
            error,
        ) from error
    except AmcError as error:
        if error.reason != "forbidden":
            raise _broken("account", error) from error
        raise _Broken("account", *_refused_entity(account, listed), error) from error


def _refused_entity(account: AccountRef, listed: Sequence[AmcAccount]) -> tuple[str, str]:
    reachable = sorted({a.account_id for a in listed})
    if account.account_id in reachable:
        return (
            f"Amazon lists {account.account_id} for this login, but refuses to show its instances.",
            "Ask an administrator of the AMC account to give this login access to its instances.",
        )
    names = ", ".join(reachable[:_NAMES_SHOWN]) + (" and more" if len(reachable) > _NAMES_SHOWN else "")
    return (
        f"Amazon refuses {account.account_id}: the entity ID is wrong, or this login may not use it.",
        "Check the entity ID in the AMC console, under Account info; a profile, DSP advertiser or seller ID does "
        "not work." + (f" This login lists {names}." if names else ""),
    )


def _refuse_listed(ref: InstanceRef, error: AmcError) -> NoReturn:
    """End at an instance that the account lists, but that does not answer."""
    fix = reason_of(error.reason).fix
    message = error.message
    if error.reason in {"forbidden", "not_found"}:
        message = f"The account lists {ref.instance_id}, but Amazon refuses access to it. {error.message}"
        fix = "Ask an administrator of the AMC account to give this login access to the instance."
    raise _Broken("instance", message, fix, error) from error


def _name_right_account(
    inventory: AccountInventory, ref: InstanceRef, passed: dict[str, str], error: AmcError
) -> NoReturn:
    """End at the account or the marketplace, whichever is not the instance's."""
    other = inventory.account
    name = f"{inventory.name} ({other.account_id}, {country_of(other.marketplace_id, other.marketplace_id)})"
    del passed["marketplace"]
    if other.account_id == ref.account.account_id:
        raise _Broken(
            "marketplace",
            f"{ref.instance_id} is in {_place(other.marketplace_id)}, not {_place(ref.account.marketplace_id)}.",
            f"Choose the account {name}.",
            error,
        ) from error
    del passed["account"]
    raise _Broken(
        "account",
        f"{ref.instance_id} belongs to {other.account_id}, not to {ref.account.account_id}.",
        f"Choose the account {name}.",
        error,
    ) from error


def _unknown(ref: InstanceRef, error: AmcError) -> str:
    if error.reason in {"forbidden", "not_found"}:
        return f"{ref.account.account_id} has no instance {ref.instance_id}."
    return error.message


def _broken(key: str, error: AmcHelperError) -> _Broken:
    result = result_of_error(_NOBODY, error)
    return _Broken(key, error.message, reason_of(result.reason).fix, error)


def _place(marketplace_id: str) -> str:
    country = country_of(marketplace_id, "")
    return f"{country} ({marketplace_id})" if country else marketplace_id


def _steps(passed: dict[str, str], failed: TestStep | None) -> tuple[TestStep, ...]:
    steps = []
    broken = False
    for key in LABELS:
        if failed is not None and key == failed.key:
            steps.append(failed)
            broken = True
        elif key in passed and not broken:
            steps.append(TestStep(key, "passed", passed[key]))
        else:
            steps.append(TestStep(key, "skipped"))
    return tuple(steps)
