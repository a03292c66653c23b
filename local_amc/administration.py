"""The Administration API: accounts, instances and advertisers."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Request, Response

from local_amc.access import check_account, check_instance, check_token
from local_amc.fixtures import ACCOUNTS, LOGINS, Instance
from local_amc.paging import page
from local_amc.responses import (
    RequestRejectedError,
    error,
    json_response,
    terms_required,
)
from local_amc.state import ServerState

# What an advertiser of a type is configured for.
_CONFIGURED = {"DISPLAY": ["DISPLAY"], "SPONSORED_ADS": ["SPONSORED_BRANDS", "SPONSORED_PRODUCTS"], "SAS": ["SAS"]}


def accounts(state: ServerState, request: Request) -> Response:
    """`GET /amc/accounts`: the accounts the login administers."""
    check_token(state, request)
    rows = [account.to_json() for account in ACCOUNTS]
    return json_response(page(request, "amcAccounts", rows, bound_to="accounts", ends_with_null=True))


def instances(state: ServerState, request: Request) -> Response:
    """`GET /amc/instances`: the instances of the entity and marketplace in the headers."""
    token = check_token(state, request)
    entity, marketplace = check_account(request)
    if state.options.terms_on_list and not LOGINS[token.login].has_accepted_terms:
        raise RequestRejectedError(terms_required())
    rows = [
        _instance_json(instance, request)
        for instance in state.instances.values()
        if (instance.account_id, instance.marketplace_id) == (entity, marketplace)
    ]
    bound_to = f"instances:{entity}:{marketplace}"
    return json_response(page(request, "instances", rows, bound_to=bound_to, ends_with_null=True))


def instance(state: ServerState, request: Request, instance_id: str) -> Response:
    """`GET /amc/instances/{id}`."""
    return json_response({"instance": _instance_json(check_instance(state, request, instance_id), request)})


def advertisers(state: ServerState, request: Request, instance_id: str) -> Response:
    """`GET /amc/instances/{id}/advertisers`."""
    found = check_instance(state, request, instance_id)
    wanted = request.args.get("type", "")
    if wanted and wanted not in _CONFIGURED:
        return error(422, "type must be one of DISPLAY, SAS, SPONSORED_ADS")
    rows = [
        {
            "id": advertiser_id,
            "name": found.body.get("instanceName"),
            "marketplaceId": None if kind == "DISPLAY" else found.marketplace_id,
            "type": kind,
            "configuredAdvertiserTypes": _CONFIGURED[kind],
        }
        for advertiser_id, kind in found.advertisers.items()
        if wanted in ("", kind)
    ]
    body = page(request, "advertisers", rows, bound_to=f"advertisers:{instance_id}:{wanted}", ends_with_null=True)
    return json_response({**body, "totalCount": len(rows)})


def _instance_json(found: Instance, request: Request) -> dict[str, Any]:
    """Return an instance's JSON; its host is this server, so that no token is led to Amazon."""
    if found.body.get("apiEndpoint") is None:
        return found.body
    return {**found.body, "apiEndpoint": request.host_url.rstrip("/")}
