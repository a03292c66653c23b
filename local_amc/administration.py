"""The Administration API, and the checks of login, account and instance that all of Amazon's calls share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_amc.answers import (
    RefusedError,
    entity_missing,
    error,
    forbidden,
    instance_unknown,
    json_answer,
    marketplace_unknown,
    terms_required,
    unauthorized,
)
from local_amc.fixtures import ACCOUNTS, LOGINS, Instance
from local_amc.paging import page
from local_amc.store import Token

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

# What an advertiser of a type is configured for.
_CONFIGURED = {"DISPLAY": ["DISPLAY"], "SPONSORED_ADS": ["SPONSORED_BRANDS", "SPONSORED_PRODUCTS"], "SAS": ["SAS"]}


def accounts(app: LocalAmc, request: Request) -> Response:
    """`GET /amc/accounts`: the accounts the login administers."""
    check_token(app, request)
    return json_answer(page(request, "amcAccounts", [a.to_json() for a in ACCOUNTS], bound_to="accounts"))


def instances(app: LocalAmc, request: Request) -> Response:
    """`GET /amc/instances`: the instances of the entity and marketplace in the headers."""
    token = check_token(app, request)
    entity, marketplace = check_account(request)
    if app.terms_on_list and not LOGINS[token.login].has_accepted_terms:
        raise RefusedError(terms_required())
    rows = [
        _body(instance, request)
        for instance in app.instances.values()
        if (instance.account_id, instance.marketplace_id) == (entity, marketplace)
    ]
    return json_answer(page(request, "instances", rows, bound_to=f"instances:{entity}:{marketplace}"))


def instance(app: LocalAmc, request: Request, instance_id: str) -> Response:
    """`GET /amc/instances/{id}`."""
    return json_answer({"instance": _body(check_instance(app, request, instance_id), request)})


def advertisers(app: LocalAmc, request: Request, instance_id: str) -> Response:
    """`GET /amc/instances/{id}/advertisers`."""
    found = check_instance(app, request, instance_id)
    wanted = request.args.get("type", "")
    if wanted and wanted not in _CONFIGURED:
        return error(422, "type must be one of DISPLAY, SAS, SPONSORED_ADS")
    rows = [
        {
            # 18 digits, which lose their end in JavaScript.
            "id": f"5{found.number:05d}{position:012d}",
            "name": found.body.get("instanceName"),
            "marketplaceId": None if kind == "DISPLAY" else found.marketplace_id,
            "type": kind,
            "configuredAdvertiserTypes": _CONFIGURED[kind],
        }
        for position, kind in enumerate(found.body.get("advertiserTypes") or [], start=1)
        if wanted in ("", kind)
    ]
    body = page(request, "advertisers", rows, bound_to=f"advertisers:{instance_id}:{wanted}")
    return json_answer({**body, "totalCount": len(rows)})


def check_token(app: LocalAmc, request: Request) -> Token:
    """Check the access token, then that the client ID is the token's; raises RefusedError."""
    token = app.token_of(request)
    if token is None or token.expires_at <= app.clock.timestamp():
        raise RefusedError(unauthorized())
    if request.headers.get("Amazon-Advertising-API-ClientId") != token.client_id:
        raise RefusedError(unauthorized())
    return token


def check_account(request: Request) -> tuple[str, str]:
    """Check the account headers and give entity and marketplace; raises RefusedError."""
    entity = request.headers.get("Amazon-Advertising-API-AdvertiserId", "").strip()
    marketplace = request.headers.get("Amazon-Advertising-API-MarketplaceId", "").strip()
    if not entity:
        raise RefusedError(entity_missing())
    if not marketplace:
        raise RefusedError(error(400, "marketplaceId provided is null"))
    marketplaces = {account.marketplace_id for account in ACCOUNTS if account.account_id == entity}
    if not marketplaces:
        raise RefusedError(forbidden())
    if marketplace not in marketplaces:
        raise RefusedError(marketplace_unknown())
    return entity, marketplace


def check_instance(
    app: LocalAmc, request: Request, instance_id: str, *, unknown: Response | None = None
) -> Instance:
    """Make all checks of a call about one instance, in Amazon's order; raises RefusedError."""
    token = check_token(app, request)
    entity, marketplace = check_account(request)
    found = app.instances.get(instance_id)
    if found is None:
        raise RefusedError(unknown or instance_unknown(instance_id))
    if found.account_id != entity:
        raise RefusedError(forbidden())
    if found.marketplace_id != marketplace:
        raise RefusedError(unknown or instance_unknown(instance_id))
    if not LOGINS[token.login].has_accepted_terms:
        raise RefusedError(terms_required())
    return found


def _body(found: Instance, request: Request) -> dict[str, Any]:
    """Return an instance's JSON; its host is this server, so that no token is led to Amazon."""
    if found.body.get("apiEndpoint") is None:
        return found.body
    return {**found.body, "apiEndpoint": request.host_url.rstrip("/")}
