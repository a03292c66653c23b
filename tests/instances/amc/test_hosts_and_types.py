"""Hosts a token may go to, and identifiers that may go to Amazon."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import cast

import pytest

from instances.amc.errors import AmcHostError
from instances.amc.hosts import MARKETPLACES, REGIONS, country_of, ensure_allowed, hosts_for, region_of
from instances.amc.types import AccountRef, CallInfo, InstanceRef, parse_instance
from tests.instances.amc.builders import ACCOUNT, RAW

LOCAL = "http://127.0.0.1:8700"


@pytest.mark.parametrize("region", REGIONS)
def test_amazons_own_hosts_are_allowed(region: str) -> None:
    hosts = hosts_for(region)
    ensure_allowed(hosts.api + "/amc/accounts")
    ensure_allowed(hosts.token)


@pytest.mark.parametrize(
    "url",
    [
        "http://advertising-api.amazon.com/amc",
        "https://advertising-api.amazon.com.example.com/amc",
        "https://advertising-api.amazon.com:8443/amc",
        "https://advertising-api.amazon.com@example.com/amc",
        "https://user@advertising-api.amazon.com/amc",
        "https://advertising-api.amazon.com\\@example.com/amc",
        "//advertising-api.amazon.com/amc",
        "http://127.0.0.1:8700/amc",
        "",
    ],
)
def test_any_other_host_is_refused(url: str) -> None:
    with pytest.raises(AmcHostError):
        ensure_allowed(url)


def test_only_the_configured_local_origin_is_allowed() -> None:
    ensure_allowed(LOCAL + "/amc/accounts", LOCAL)
    for url in ("http://127.0.0.1:8701/amc", "https://127.0.0.1:8700/amc", "http://localhost:8700/amc"):
        with pytest.raises(AmcHostError):
            ensure_allowed(url, LOCAL)


def test_local_amc_plays_all_hosts() -> None:
    assert hosts_for("FE", LOCAL + "/") == (LOCAL, LOCAL + "/ap/oa", LOCAL + "/auth/o2/token")


def test_marketplaces_lead_to_regions() -> None:
    assert len(MARKETPLACES) == 22
    assert (region_of("A1PA6795UKMFR9"), country_of("A1PA6795UKMFR9")) == ("EU", "DE")
    assert region_of("A1VC38T7YXB528") == "FE"
    assert region_of("UNKNOWN", default="EU") == "EU"


@pytest.mark.parametrize("make", [str, lambda u: u, lambda u: u.hex, lambda u: str(u).upper()])
def test_uuid_is_never_an_instance_id(make: Callable[[uuid.UUID], str]) -> None:
    with pytest.raises(ValueError, match="never a UUID"):
        InstanceRef(make(uuid.uuid4()), ACCOUNT)


def test_uuid_is_never_an_entity_id() -> None:
    with pytest.raises(ValueError, match="never by our own key"):
        AccountRef(cast("str", uuid.uuid4()), "ATVPDKIKX0DER")


@pytest.mark.parametrize("instance_id", ["", "  ", ".", ".."])
def test_nothing_is_no_instance_id(instance_id: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        InstanceRef(instance_id, ACCOUNT)


def test_instance_with_nulls_missing_and_new_fields_is_read() -> None:
    call = CallInfo(200, "RID", 5)
    empty = parse_instance(dict.fromkeys(RAW) | {"brandNew": [1]}, call)
    assert (empty.name, empty.creation_status, empty.advertiser_types) == ("", "", ())
    assert (empty.is_usable, empty.is_provisioning, empty.has_failed) == (False, False, False)
    assert empty.raw["brandNew"] == [1]
    assert parse_instance({}, call).instance_id == ""


@pytest.mark.parametrize(
    ("status", "usable", "provisioning", "failed"),
    [
        ("COMPLETED", True, False, False),
        ("SUCCEEDED", True, False, False),
        ("REQUESTED", False, True, False),
        ("SUBMITTED", False, True, False),
        ("IN_PROGRESS", False, True, False),
        ("FAILED", False, False, True),
        ("ODD", False, False, False),
    ],
)
def test_creation_status_in_words(status: str, usable: bool, provisioning: bool, failed: bool) -> None:
    found = parse_instance({**RAW, "creationStatus": status}, CallInfo(200, "", 0))
    assert (found.is_usable, found.is_provisioning, found.has_failed) == (usable, provisioning, failed)
