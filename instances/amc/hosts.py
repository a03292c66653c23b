"""Amazon's hosts, the marketplaces behind them, and the list of hosts a token may go to."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from instances.amc.errors import AmcHostError

REGIONS = ("NA", "EU", "FE")


class Hosts(NamedTuple):
    """Where to call, where to send people for consent, and where tokens come from."""

    api: str
    authorize: str
    token: str


class Marketplace(NamedTuple):
    """A marketplace and the region of its host."""

    marketplace_id: str
    country_code: str
    region: str


# Amazon's hosts by region.
_AMAZON = {
    "NA": Hosts(
        "https://advertising-api.amazon.com",
        "https://www.amazon.com/ap/oa",
        "https://api.amazon.com/auth/o2/token",
    ),
    "EU": Hosts(
        "https://advertising-api-eu.amazon.com",
        "https://eu.account.amazon.com/ap/oa",
        "https://api.amazon.co.uk/auth/o2/token",
    ),
    "FE": Hosts(
        "https://advertising-api-fe.amazon.com",
        "https://apac.account.amazon.com/ap/oa",
        "https://api.amazon.co.jp/auth/o2/token",
    ),
}
_ALLOWED = frozenset(
    f"https://{urlsplit(url).netloc}" for hosts in _AMAZON.values() for url in (hosts.api, hosts.token)
)
# Where results lie: S3, in China too.
_STORAGE = (".amazonaws.com", ".amazonaws.com.cn")

# Marketplace, country and region. India is EU for the Ads API; AMC's own guide says APAC, so a user can override.
_MARKETPLACES = (
    ("ATVPDKIKX0DER", "US", "NA"),
    ("A2EUQ1WTGCTBG2", "CA", "NA"),
    ("A1AM78C64UM0Y8", "MX", "NA"),
    ("A2Q3Y263D00KWC", "BR", "NA"),
    ("A1F83G8C2ARO7P", "UK", "EU"),
    ("A1PA6795UKMFR9", "DE", "EU"),
    ("A13V1IB3VIYZZH", "FR", "EU"),
    ("APJ6JRA9NG5V4", "IT", "EU"),
    ("A1RKKUPIHCS9HS", "ES", "EU"),
    ("A1805IZSGTT6HS", "NL", "EU"),
    ("A2NODRKZP88ZB9", "SE", "EU"),
    ("A33AVAJ2PDY3EV", "TR", "EU"),
    ("A17E79C6D8DWNP", "SA", "EU"),
    ("A2VIGQ35RCS4UG", "AE", "EU"),
    ("A21TJRUUN4KGV", "IN", "EU"),
    ("AMEN7PMS3EDWL", "BE", "EU"),
    ("A1C3SOZRARQ6R3", "PL", "EU"),
    ("ARBP9OOSHTCHU", "EG", "EU"),
    ("A28R8C7NBKEWEA", "IE", "EU"),
    ("A1VC38T7YXB528", "JP", "FE"),
    ("A39IBJ37TRP1C6", "AU", "FE"),
    ("A19VAU5U5O7RUS", "SG", "FE"),
)
MARKETPLACES = {row[0]: Marketplace(*row) for row in _MARKETPLACES}


def region_of(marketplace_id: str, default: str = "NA") -> str:
    """Return the region of a marketplace's host; AMC's coverage grows, so an unknown one is no error."""
    marketplace = MARKETPLACES.get(marketplace_id)
    return marketplace.region if marketplace else default


def country_of(marketplace_id: str, default: str = "US") -> str:
    """Return the country code of a marketplace."""
    marketplace = MARKETPLACES.get(marketplace_id)
    return marketplace.country_code if marketplace else default


def hosts_for(region: str, local_url: str = "") -> Hosts:
    """Return a region's hosts, or the local AMC's, which plays all of them, when `local_url` is set."""
    if local_url:
        base = local_url.rstrip("/")
        return Hosts(base, f"{base}/ap/oa", f"{base}/auth/o2/token")
    return _AMAZON[region]


def ensure_allowed(url: str, local_url: str = "") -> None:
    """Raise AmcHostError unless `url` is one of Amazon's hosts over HTTPS or the configured local AMC."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if local_url and origin == local_url.rstrip("/"):
        return
    # With a local AMC configured, real tokens have no business at Amazon's hosts, nor local ones.
    if not local_url and origin in _ALLOWED:
        return
    raise AmcHostError(f"{parts.hostname or 'This address'} is not a host that Amazon tokens may be sent to.")


def ensure_downloadable(url: str, local_url: str = "") -> None:
    """Raise AmcHostError unless a result's link leads to Amazon's storage over HTTPS, or to the configured local AMC.

    The message leaves the link out: it is all one needs to read the result.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    is_local = bool(local_url) and f"{parts.scheme}://{parts.netloc}" == local_url.rstrip("/")
    # A name before the host would be sent as credentials.
    is_amazon = (
        parts.scheme == "https" and host.endswith(_STORAGE) and port in (None, 443) and "@" not in parts.netloc
    )
    if not is_local and not is_amazon:
        raise AmcHostError(
            "AMC gave a download link that does not lead to Amazon's storage, so it was not followed. "
            "If this goes on, tell your administrator."
        )
