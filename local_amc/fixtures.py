"""The fixed world: a client, logins, accounts and instances. Other programs rely on these names."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

CLIENT_ID = "amzn1.application-oa2-client.local"
CLIENT_SECRET = "local-secret"  # noqa: S105  a published fixture, not a secret


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
        """Give the element of `amcAccounts`."""
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


@dataclass(frozen=True)
class Instance:
    """An AMC instance and where it belongs."""

    instance_id: str
    account_id: str
    marketplace_id: str
    body: dict[str, Any] = field(compare=False)

    @property
    def status(self) -> str:
        """Give the creation status, empty when the answer has none."""
        return str(self.body.get("creationStatus") or "")


def build_instances(seed: int) -> dict[str, Instance]:
    """Build all instances by their AMC ID; the same seed gives the same world."""
    made = [
        _instance("amclocalus1", "Trail Running US", "ENTITYLOCALUS1", US),
        _instance("amclocalus2", "Garden and Patio US", "ENTITYLOCALUS1", US, types=["SPONSORED_ADS"]),
        _instance("amclocalsbx", "Northwind Sandbox", "ENTITYLOCALUS1", US, kind="SANDBOX"),
        _instance("amclocalca1", "Trail Running Canada", "ENTITYLOCALUS1", CA),
        _instance("amclocalde1", "Kaffee DE", "ENTITYLOCALDE1", DE),
        _instance("amclocalnew", "Espresso Launch DE", "ENTITYLOCALDE1", DE, status="IN_PROGRESS"),
        _instance("amclocalbad", "Tee Pilot DE", "ENTITYLOCALDE1", DE, status="FAILED"),
        Instance("amclocalnul", "ENTITYLOCALDE1", DE, _null_heavy("amclocalnul")),
    ]
    made += _japan(seed)
    return {instance.instance_id: instance for instance in made}


def _japan(seed: int) -> list[Instance]:
    """Build 120 instances, enough for two pages."""
    chooser = random.Random(seed)  # noqa: S311  names, not secrets
    firsts = ["Hikari", "Sakura", "Aoi", "Yuki", "Mizu", "Hana", "Sora", "Kaze", "Tsuki", "Umi"]
    lines = ["Skin Care", "Hair Care", "Make-up", "Fragrance", "Sun Care", "Body", "Men", "Baby"]
    names = [f"{first} {line}" for first in firsts for line in lines]
    chooser.shuffle(names)
    return [
        _instance(
            f"amclocaljp{n:03d}",
            f"{names[n % len(names)]} JP {n:03d}",
            "ENTITYLOCALJP1",
            JP,
            types=chooser.choice([["DISPLAY"], ["SPONSORED_ADS"], ["DISPLAY", "SPONSORED_ADS"]]),
        )
        for n in range(1, 121)
    ]


def _instance(
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
    body = {
        "instanceId": instance_id,
        "instanceName": name,
        "instanceType": kind,
        "customerCanonicalName": name,
        "creationStatus": status,
        "creationDatetime": "2024-03-05T08:30:00.123Z",
        "s3BucketName": "",
        "s3BucketRegion": "us-east-1" if ready else None,
        "awsAccountId": "",
        "dataUploadAwsAccountId": "000000000000",
        "entities": ["NA"],
        "apiEndpoint": "https://advertising-api.amazon.com" if ready else None,
        "acrCollaboration": None,
        "optionalDatasets": [],
        "advertiserTypes": types if types is not None else ["DISPLAY", "SPONSORED_ADS"],
    }
    return Instance(instance_id, account_id, marketplace_id, body)


def _null_heavy(instance_id: str) -> dict[str, Any]:
    """Give an answer in which nearly everything is null or missing, as older instances have."""
    return {
        "instanceId": instance_id,
        "instanceName": None,
        "creationStatus": None,
        "creationDatetime": None,
        "s3BucketName": None,
        "apiEndpoint": None,
        "advertiserTypes": None,
    }
