"""The Administration API, and the one reporting address a deep probe asks."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_amc.faults import error
from local_amc.fixtures import ACCOUNTS, CLIENT_ID, LOGINS, Instance

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

PAGE_SIZE = 100
_WORKFLOWS = (
    {"workflowId": "reach_by_campaign.v1", "sqlQuery": "SELECT campaign, COUNT(DISTINCT user_id) AS reach "
     "FROM dsp_impressions GROUP BY campaign"},
    {"workflowId": "weekly_spend.v2", "sqlQuery": "SELECT campaign, SUM(spend) AS spend "
     "FROM sponsored_ads_traffic GROUP BY campaign"},
)  # fmt: skip


class Refused(Exception):  # noqa: N818  carries the answer, it is not an error of ours
    """One of the checks before the real work gave an answer of its own."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def accounts(app: LocalAmc, request: Request) -> Response:
    """`GET /amc/accounts`: the accounts the login administers."""
    _login(app, request)
    return _page(request, "amcAccounts", [account.to_json() for account in ACCOUNTS], "accounts")


def instances(app: LocalAmc, request: Request) -> Response:
    """`GET /amc/instances`: the instances of the entity and marketplace in the headers."""
    login = _login(app, request)
    entity, marketplace = _account(request)
    if app.terms_on_list and not LOGINS[login].has_accepted_terms:
        raise Refused(_terms())
    rows = [
        instance.body
        for instance in app.instances.values()
        if (instance.account_id, instance.marketplace_id) == (entity, marketplace)
    ]
    return _page(request, "instances", rows, f"instances:{entity}:{marketplace}")


def instance(app: LocalAmc, request: Request, instance_id: str) -> Response:
    """`GET /amc/instances/{id}`."""
    return _json({"instance": _instance(app, request, instance_id).body})


def advertisers(app: LocalAmc, request: Request, instance_id: str) -> Response:
    """`GET /amc/instances/{id}/advertisers`."""
    found = _instance(app, request, instance_id)
    types = found.body.get("advertiserTypes") or []
    rows = [
        {"id": f"{found.account_id}-{kind}", "name": found.body.get("instanceName"), "type": kind,
         "marketplaceId": found.marketplace_id, "configuredAdvertiserTypes": [kind]}
        for kind in types
    ]  # fmt: skip
    response = _page(request, "advertisers", rows, f"advertisers:{instance_id}")
    body = json.loads(response.get_data())
    return _json({**body, "totalCount": len(rows)})


def workflows(app: LocalAmc, request: Request, instance_id: str) -> Response:
    """`GET /amc/reporting/{id}/workflows`."""
    found = _instance(app, request, instance_id, unknown=403)
    if found.status != "COMPLETED":
        raise Refused(error(400, "The instance is not ready."))
    rows = list(_WORKFLOWS) if instance_id == "amclocalus1" else []
    response = _page(request, "workflows", rows, f"workflows:{instance_id}")
    response.content_type = "application/vnd.amcworkflows.v1+json"
    return response


def _login(app: LocalAmc, request: Request) -> str:
    """Check the token, then the client ID; gives the login's name."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = app.store.token_login(token, app.clock.now().timestamp()) if scheme == "Bearer" else None
    if found is None or request.headers.get("Amazon-Advertising-API-ClientId") != CLIENT_ID:
        raise Refused(error(401, "Unauthorized"))
    return found[0]


def _account(request: Request) -> tuple[str, str]:
    """Check the account headers; gives entity and marketplace."""
    entity = request.headers.get("Amazon-Advertising-API-AdvertiserId", "")
    marketplace = request.headers.get("Amazon-Advertising-API-MarketplaceId", "")
    if not entity:
        raise Refused(error(400, "entityId provided is null"))
    if not marketplace:
        raise Refused(error(400, "marketplaceId provided is null"))
    marketplaces = {account.marketplace_id for account in ACCOUNTS if account.account_id == entity}
    if not marketplaces:
        raise Refused(error(403, "Unauthorized request."))
    if marketplace not in marketplaces:
        raise Refused(error(404, "The marketplace does not belong to this entity."))
    return entity, marketplace


def _instance(app: LocalAmc, request: Request, instance_id: str, *, unknown: int = 404) -> Instance:
    login = _login(app, request)
    entity, marketplace = _account(request)
    found = app.instances.get(instance_id)
    if found is None:
        text = "Unauthorized request." if unknown == 403 else f"Instance {instance_id} was not found."
        raise Refused(error(unknown, text))
    if found.account_id != entity:
        raise Refused(error(403, "Unauthorized request."))
    if found.marketplace_id != marketplace:
        raise Refused(error(404, f"Instance {instance_id} was not found."))
    if not LOGINS[login].has_accepted_terms:
        raise Refused(_terms())
    return found


def _terms() -> Response:
    return error(403, "Terms and conditions must be accepted to continue")


def _page(request: Request, key: str, rows: list[Any], bound_to: str) -> Response:
    limit = request.args.get("limit", str(PAGE_SIZE))
    if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_SIZE:
        raise Refused(error(400, "limit must be between 1 and 100"))
    token = request.args.get("nextToken", "")
    start = _start(token, bound_to) if token else 0
    end = start + int(limit)
    following = _token(end, bound_to) if end < len(rows) else None
    return _json({key: rows[start:end], "nextToken": following})


def _token(start: int, bound_to: str) -> str:
    return base64.urlsafe_b64encode(f"{start}|{bound_to}".encode()).decode()


def _start(token: str, bound_to: str) -> int:
    if token == "the-same-token":  # noqa: S105  what the fault paging_loop hands out
        return 0
    try:
        start, _, bound = base64.urlsafe_b64decode(token).decode().partition("|")
        if bound == bound_to:
            return int(start)
    except ValueError:
        pass
    raise Refused(error(400, "nextToken is not valid for this request"))


def _json(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), content_type="application/json")
