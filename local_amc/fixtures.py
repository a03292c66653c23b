"""The fixed world: clients, logins, accounts and instances. Other programs rely on these names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from amc_facts.limits import SANDBOX
from local_amc.records import SCHEDULES, WORKFLOWS, Records

CLIENT_ID = "amzn1.application-oa2-client.local"
# A client that Amazon knows but did not approve for its Ads API.
UNAPPROVED_CLIENT_ID = "amzn1.application-oa2-client.unapproved"
CLIENT_SECRETS = {CLIENT_ID: "local-secret", UNAPPROVED_CLIENT_ID: "local-secret"}
CLIENT_SECRET = CLIENT_SECRETS[CLIENT_ID]


@dataclass(frozen=True)
class Login:
    """A person who can sign in at the consent page."""

    name: str
    refresh_token: str
    is_revoked: bool = False
    has_accepted_terms: bool = True


LOGINS = {
    "healthy": Login("healthy", "Atzr|local-healthy"),
    "revoked": Login("revoked", "Atzr|local-revoked", is_revoked=True),
    "noterms": Login("noterms", "Atzr|local-noterms", has_accepted_terms=False),
}
BY_REFRESH_TOKEN = {login.refresh_token: login for login in LOGINS.values()}

US, CA, DE, JP = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1PA6795UKMFR9", "A1VC38T7YXB528"


@dataclass(frozen=True)
class Account:
    """An AMC account: entity and marketplace."""

    account_id: str
    account_name: str
    marketplace_id: str

    def to_json(self) -> dict[str, str]:
        """Return the element of `amcAccounts`."""
        return {
            "accountId": self.account_id,
            "accountName": self.account_name,
            "marketplaceId": self.marketplace_id,
        }


ACCOUNTS = (
    Account("ENTITYLOCALUS1", "Northwind Outdoor US", US),
    Account("ENTITYLOCALUS1", "Northwind Outdoor CA", CA),
    Account("ENTITYLOCALDE1", "Kaffeehaus Deutschland", DE),
    Account("ENTITYLOCALJP1", "Hikari Beauty Japan", JP),
)


_WORKFLOWS: dict[str, tuple[dict[str, Any], ...]] = {
    "amclocalus1": (
        {
            "workflowId": "reach_by_campaign.v1",
            "sqlQuery": "SELECT campaign, SUM(impressions) AS impressions, COUNT(DISTINCT user_id) AS reach "
            "FROM dsp_impressions GROUP BY 1",
        },
        {
            "workflowId": "weekly_spend.v2",
            "sqlQuery": "SELECT campaign, SUM(spend) AS spend FROM sponsored_ads_traffic GROUP BY 1",
        },
    )
}
_SCHEDULES: dict[str, tuple[dict[str, Any], ...]] = {
    "amclocalus1": (
        {
            "scheduleId": "reach_every_monday",
            "workflowId": "reach_by_campaign.v1",
            "aggregationPeriod": "Weekly",
            "aggregationStartDay": "Monday",
            "aggregationHourUtc": 6,
            "scheduleEnabled": True,
            "requireSyntheticData": False,
            "disableAggregationControls": False,
        },
    )
}
_BUCKET_REGIONS = {US: "us-east-1", CA: "us-east-1", DE: "eu-west-1", JP: "us-west-2"}
_READY = frozenset({"COMPLETED", "SUCCEEDED"})


@dataclass(frozen=True)
class Instance:
    """An AMC instance, where it belongs, and its place in the whole list."""

    instance_id: str
    account_id: str
    marketplace_id: str
    number: int
    body: dict[str, Any] = field(compare=False)

    @property
    def is_ready(self) -> bool:
        """Return whether reporting works."""
        return self.body.get("creationStatus") in _READY

    @property
    def advertisers(self) -> dict[str, str]:
        """Return the IDs of its advertisers, one of each type, with their types."""
        # 18 digits, which lose their end in JavaScript.
        types = self.body.get("advertiserTypes") or []
        return {f"5{self.number:05d}{position:012d}": kind for position, kind in enumerate(types, start=1)}

    @property
    def is_sandbox(self) -> bool:
        """Return whether it has synthetic data only, with rules of its own."""
        return self.body.get("instanceType") == SANDBOX


def save_fixtures(records: Records) -> None:
    """Keep the workflows and the schedule every store starts with, unless others of that name are kept."""
    for kind, key, fixtures in ((WORKFLOWS, "workflowId", _WORKFLOWS), (SCHEDULES, "scheduleId", _SCHEDULES)):
        for instance_id, bodies in fixtures.items():
            for body in bodies:
                records.add(kind, instance_id, body[key], body)


def pick(seed: int, what: str, size: int) -> int:
    """Return a number from 0 to `size` - 1 that depends on seed and subject only."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{what}".encode()).digest()[:8]) % size


def build_instances(seed: int) -> dict[str, Instance]:
    """Return all instances by their AMC ID; the same seed gives the same ones."""
    us, de = "ENTITYLOCALUS1", "ENTITYLOCALDE1"
    made = [
        _instance(seed, 1, "amclocalus1", "Northwind Trail Running", us, US),
        _instance(seed, 2, "amclocalus2", "Northwind Garden and Patio", us, US, types=["SPONSORED_ADS"]),
        _instance(seed, 3, "amclocalsbx", "Northwind Sandbox", us, US, kind=SANDBOX),
        _instance(seed, 4, "amclocalca1", "Northwind Trail Running Canada", us, CA),
        _instance(seed, 5, "amclocalde1", "Kaffeehaus Röstkaffee", de, DE),
        _instance(seed, 6, "amclocalnew", "Kaffeehaus Espresso Launch", de, DE, status="IN_PROGRESS"),
        _instance(seed, 7, "amclocalbad", "Kaffeehaus Tee Pilot", de, DE, status="FAILED"),
        Instance("amclocalnul", de, DE, 8, _null_heavy("amclocalnul")),
    ]
    made += _japan(seed)
    return {instance.instance_id: instance for instance in made}


def _japan(seed: int) -> list[Instance]:
    """Return 120 instances, enough for two pages."""
    firsts = ["Hikari", "Sakura", "Aoi", "Yuki", "Mizu", "Hana", "Sora", "Kaze", "Tsuki", "Umi", "Mori", "Kawa"]
    lines = [
        "Skin Care",
        "Hair Care",
        "Makeup",
        "Fragrance",
        "Sun Care",
        "Bath",
        "Nails",
        "Men",
        "Baby",
        "Oral Care",
    ]
    names = [f"{first} {line}" for first in firsts for line in lines]
    names.sort(key=lambda name: pick(seed, name, 2**32))
    mixes = [["DISPLAY"], ["SPONSORED_ADS"], ["DISPLAY", "SPONSORED_ADS"]]
    return [
        _instance(
            seed, 100 + n, f"amclocaljp{n:03d}", name, "ENTITYLOCALJP1", JP, types=mixes[pick(seed, f"mix {n}", 3)]
        )
        for n, name in enumerate(names, start=1)
    ]


def _instance(
    seed: int,
    number: int,
    instance_id: str,
    name: str,
    account_id: str,
    marketplace_id: str,
    *,
    kind: str = "STANDARD",
    status: str = "COMPLETED",
    types: list[str] | None = None,
) -> Instance:
    ready = status == "COMPLETED"
    created = datetime(2023, 1, 9, 8, 30, tzinfo=UTC) + timedelta(minutes=pick(seed, instance_id, 1_000_000))
    # The fraction's digits vary at Amazon too.
    digits = number % 4
    fraction = f".{pick(seed, name, 10**digits):0{digits}d}" if digits else ""
    datasets = [{"label": "CONVERSIONS_EXPOSURE_V3", "activationTime": f"{created:%Y-%m-%dT%H:%M:%SZ}"}]
    body = {
        "instanceId": instance_id,
        "instanceName": name,
        "instanceType": kind,
        "customerCanonicalName": name.split()[0],
        "creationStatus": status,
        "creationDatetime": f"{created:%Y-%m-%dT%H:%M:%S}{fraction}Z",
        "s3BucketName": "",
        "s3BucketRegion": _BUCKET_REGIONS[marketplace_id] if ready else None,
        "awsAccountId": "",
        "dataUploadAwsAccountId": f"{pick(seed, account_id, 10**12):012d}" if ready else "",
        "entities": ["NA"],
        # Replaced by this server's own address when it is asked.
        "apiEndpoint": "" if ready else None,
        "acrCollaboration": None,
        "optionalDatasets": datasets if ready and number % 2 else [],
        "advertiserTypes": types if types is not None else ["DISPLAY", "SPONSORED_ADS"],
    }
    return Instance(instance_id, account_id, marketplace_id, number, body)


def _null_heavy(instance_id: str) -> dict[str, Any]:
    """Return a body in which nearly everything is null or missing, as older instances have."""
    return {
        "instanceId": instance_id,
        "instanceName": None,
        "creationStatus": None,
        "creationDatetime": None,
        "s3BucketName": None,
        "apiEndpoint": None,
        "advertiserTypes": None,
    }
