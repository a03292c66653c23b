"""Who may call what: the checks of login, account and instance, in Amazon's order."""

from __future__ import annotations

from werkzeug.wrappers import Request, Response

from local_amc.fixtures import ACCOUNTS, LOGINS, Instance
from local_amc.responses import (
    RequestRejectedError,
    entity_missing,
    error,
    forbidden,
    instance_not_ready,
    instance_unknown,
    marketplace_unknown,
    terms_required,
    unauthorized,
)
from local_amc.state import ServerState
from local_amc.store import Token


def find_token(state: ServerState, request: Request) -> Token | None:
    """Return the access token of a request, expired or not; None when it was not issued here."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return state.store.find_token(value.strip()) if scheme.lower() == "bearer" else None


def check_token(state: ServerState, request: Request) -> Token:
    """Return the access token, whose client the request names; raises RequestRejectedError."""
    token = find_token(state, request)
    if token is None or token.expires_at <= state.clock.timestamp():
        raise RequestRejectedError(unauthorized())
    if request.headers.get("Amazon-Advertising-API-ClientId") != token.client_id:
        raise RequestRejectedError(unauthorized())
    return token


def check_account(request: Request) -> tuple[str, str]:
    """Return entity and marketplace of the account headers; raises RequestRejectedError."""
    entity = request.headers.get("Amazon-Advertising-API-AdvertiserId", "").strip()
    marketplace = request.headers.get("Amazon-Advertising-API-MarketplaceId", "").strip()
    if not entity:
        raise RequestRejectedError(entity_missing())
    if not marketplace:
        raise RequestRejectedError(error(400, "marketplaceId provided is null"))
    marketplaces = {account.marketplace_id for account in ACCOUNTS if account.account_id == entity}
    if not marketplaces:
        raise RequestRejectedError(forbidden())
    if marketplace not in marketplaces:
        raise RequestRejectedError(marketplace_unknown())
    return entity, marketplace


def check_instance(
    state: ServerState, request: Request, instance_id: str, *, unknown: Response | None = None
) -> Instance:
    """Return the instance a call is about; raises RequestRejectedError.

    `unknown` is the response for an instance that does not exist, in place of 404.
    """
    token = check_token(state, request)
    entity, marketplace = check_account(request)
    found = state.instances.get(instance_id)
    if found is None:
        raise RequestRejectedError(unknown or instance_unknown(instance_id))
    if found.account_id != entity:
        raise RequestRejectedError(forbidden())
    if found.marketplace_id != marketplace:
        raise RequestRejectedError(unknown or instance_unknown(instance_id))
    if not LOGINS[token.login].has_accepted_terms:
        raise RequestRejectedError(terms_required())
    return found


def check_reporting(state: ServerState, request: Request, instance_id: str) -> Instance:
    """Return the instance of a reporting call, which is ready; raises RequestRejectedError."""
    found = check_instance(state, request, instance_id, unknown=forbidden())
    if not found.is_ready:
        raise RequestRejectedError(instance_not_ready())
    return found
