"""What AMC's answers are turned into."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from amc_facts.limits import SANDBOX
from instances.amc.fields import read_text

if TYPE_CHECKING:
    from instances.amc.errors import AmcError

T = TypeVar("T")

_UUID = re.compile(r"\A[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z", re.IGNORECASE)
# Both words mean the same: SUCCEEDED is the legacy one.
_USABLE = frozenset({"COMPLETED", "SUCCEEDED"})
_PROVISIONING = frozenset({"REQUESTED", "SUBMITTED", "IN_PROGRESS"})


@dataclass(frozen=True, slots=True)
class CallInfo:
    """What is known about one call: HTTP status (None without an answer), Amazon's request ID, duration."""

    http_status: int | None
    request_id: str
    latency_ms: int


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An AMC account as Amazon knows it: entity ID and marketplace, both sent as headers."""

    account_id: str
    marketplace_id: str

    def __post_init__(self) -> None:
        if isinstance(self.account_id, uuid.UUID):
            raise ValueError("An AMC account is named by its entity ID, such as ENTITY1ABC, never by our own key.")


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """An AMC instance as Amazon knows it; raises ValueError for a UUID, which can only be our own key."""

    instance_id: str
    account: AccountRef

    def __post_init__(self) -> None:
        if isinstance(self.instance_id, uuid.UUID) or _UUID.match(str(self.instance_id)):
            raise ValueError("An AMC instance ID is AMC's own string, such as amcabcd1234, never a UUID.")
        # Dots alone would be taken for a step up in the path.
        if not self.instance_id.strip(". "):
            raise ValueError("The AMC instance ID is empty.")


@dataclass(frozen=True, slots=True)
class AmcAccount:
    """One account from the account list."""

    account_id: str
    account_name: str
    marketplace_id: str
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def ref(self) -> AccountRef:
        """Return the pair that goes into the headers."""
        return AccountRef(self.account_id, self.marketplace_id)


@dataclass(frozen=True, slots=True)
class AmcInstance:
    """One instance; every field may be missing in Amazon's answer and is then empty."""

    instance_id: str
    name: str
    instance_type: str
    creation_status: str
    created_at: str
    api_endpoint: str
    advertiser_types: tuple[str, ...]
    s3_bucket_name: str
    customer_name: str
    raw: Mapping[str, Any] = field(repr=False)
    call: CallInfo

    @property
    def has_synthetic_data(self) -> bool:
        """Return whether this is a sandbox."""
        return is_sandbox(self.instance_type)

    @property
    def is_usable(self) -> bool:
        """Return whether Amazon finished creating the instance."""
        return self.creation_status in _USABLE

    @property
    def is_provisioning(self) -> bool:
        """Return whether Amazon is still creating the instance."""
        return self.creation_status in _PROVISIONING

    @property
    def has_failed(self) -> bool:
        """Return whether Amazon gave up creating the instance."""
        return self.creation_status == "FAILED"


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What a list at Amazon showed; with an `error` it may lack rows, and nothing may be called missing from it."""

    rows: tuple[T, ...]
    error: AmcError | None = None


def is_sandbox(instance_type: str) -> bool:
    """Return whether instances of a type hold synthetic data, which every run must ask for."""
    return instance_type.upper() == SANDBOX


def parse_account(raw: Mapping[str, Any]) -> AmcAccount:
    """Read one element of `amcAccounts`."""
    return AmcAccount(
        read_text(raw, "accountId"), read_text(raw, "accountName"), read_text(raw, "marketplaceId"), raw
    )


def parse_instance(raw: Mapping[str, Any], call: CallInfo) -> AmcInstance:
    """Read one instance object; unknown fields stay in `raw`."""
    types = raw.get("advertiserTypes")
    return AmcInstance(
        instance_id=read_text(raw, "instanceId"),
        name=read_text(raw, "instanceName"),
        instance_type=read_text(raw, "instanceType"),
        creation_status=read_text(raw, "creationStatus").upper(),
        created_at=read_text(raw, "creationDatetime"),
        api_endpoint=read_text(raw, "apiEndpoint"),
        advertiser_types=tuple(str(kind) for kind in types) if isinstance(types, list) else (),
        s3_bucket_name=read_text(raw, "s3BucketName"),
        customer_name=read_text(raw, "customerCanonicalName"),
        raw=raw,
        call=call,
    )
