"""Faults that can be armed, and which requests they hit; what they do is in `fault_effects`."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import asdict, dataclass, fields
from typing import Any

from werkzeug.wrappers import Request

# These hit the token endpoint; all others the API unless a route says otherwise.
LWA_FAULTS = frozenset(
    {"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope", "lwa_500", "lwa_503", "lwa_429"}
)
# These change the instances in a real response, single or in the list.
INSTANCE_FAULTS = frozenset(
    {"null_fields", "extra_fields", "unknown_status", "instance_in_progress", "instance_failed"}
)
PAGING_FAULTS = frozenset({"paging_loop", "paging_repeat", "paging_empty_page"})
# Where a fault strikes that makes sense at one kind of call only: method and endpoint.
PLACES = {
    "created_but_504": ("POST", "executions"),
    "execution_limit": ("POST", "executions"),
    "exec_failed": ("POST", "executions"),
    "exec_rejected": ("POST", "executions"),
    "exec_stuck": ("POST", "executions"),
    "exec_slow_visible": ("POST", "executions"),
    "exec_publishing": ("POST", "executions"),
    "exec_cancel_race": ("PUT", "execution"),
    "duplicate_workflow": ("POST", "workflows"),
    "delete_referenced_workflow": ("DELETE", "workflow"),
    "download_not_ready": ("GET", "download_urls"),
    "download_expired": ("GET", "result"),
    "download_bad_signature": ("GET", "result"),
    "download_truncated": ("GET", "result"),
    "download_gzip": ("GET", "result"),
    "download_500": ("GET", "result"),
    "download_header_mismatch": ("GET", "result"),
}
NAMES = (
    LWA_FAULTS
    | INSTANCE_FAULTS
    | PAGING_FAULTS
    | frozenset(PLACES)
    | {
        "token_expired", "forbidden_expired", "wrong_entity", "terms_required", "unknown_instance",
        "wrong_marketplace", "missing_header", "throttle", "server_error", "slow", "hang", "drip", "reset",
        "truncated_body", "bad_json", "wrong_content_type", "empty_200", "message_200", "account_disappears",
    }
)  # fmt: skip
ROUTES = frozenset(
    {
        "consent", "token", "accounts", "instances", "instance", "advertisers", "workflows", "workflow", "executions",
        "execution", "download_urls", "schedules", "schedule", "data_sources", "data_source", "result",
    }
)  # fmt: skip
VARIANTS = {
    "token_expired": frozenset({"", "old"}),
    "forbidden_expired": frozenset({"", "always"}),
    "throttle": frozenset({"", "seconds", "date", "none", "html"}),
    "server_error": frozenset({"", "json", "message", "html", "empty"}),
    "created_but_504": frozenset({"", "reset"}),
    "drip": frozenset({"", "head"}),
    "exec_rejected": frozenset({"", "compile", "privacy", "overlap"}),
}
STATUSES = {"server_error": frozenset({0, 500, 502, 503, 504}), "unknown_instance": frozenset({0, 403, 404})}
_VANISHING_ACCOUNT = "ENTITYLOCALJP1"
# Its place in the WSGI environment of a request.
_ATTACHED = "local_amc.fault"


@dataclass
class Fault:
    """One armed fault and whom it may hit; `count` 0 means without end."""

    fault: str
    route: str = ""
    method: str = ""
    instance: str = ""
    entity: str = ""
    nth: int = 1
    count: int = 0
    probability: float = 1.0
    status: int = 0
    variant: str = ""
    seconds: float = 0.0
    # Kept by the server, not to be given.
    id: int = 0
    armed_at: float = 0.0
    matched: int = 0
    fired: int = 0
    # Told to whoever is still at work on it.
    is_disarmed: bool = False

    def matches(self, request: Request, endpoint: str, token_issued_at: float | None) -> bool:
        """Return whether the request is one of those this fault is armed for."""
        return (
            self._matches_route(request, endpoint)
            and (not self.method or request.method == self.method.upper())
            and self._matches_subject(request)
            and self._matches_token(token_issued_at)
        )

    @property
    def gone_entity(self) -> str:
        """Return the entity that `account_disappears` takes away."""
        return self.entity or _VANISHING_ACCOUNT

    def _matches_route(self, request: Request, endpoint: str) -> bool:
        if self.fault in LWA_FAULTS:
            return endpoint == "token"
        if self.fault in PLACES:
            return (request.method, endpoint) == PLACES[self.fault]
        if self.route in ROUTES:
            return endpoint == self.route
        # Without a route a fault hits the API only; sign-in keeps working.
        return self.route in request.path if self.route else request.path.startswith("/amc/")

    def _matches_subject(self, request: Request) -> bool:
        entity = request.headers.get("Amazon-Advertising-API-AdvertiserId", "")
        if self.fault == "account_disappears":
            return request.path == "/amc/accounts" or entity == self.gone_entity
        if self.entity and entity != self.entity:
            return False
        if not self.instance or self.instance in request.path.split("/"):
            return True
        return self.fault in INSTANCE_FAULTS and request.path == "/amc/instances"

    def _matches_token(self, issued_at: float | None) -> bool:
        if (self.fault, self.variant) not in {("token_expired", "old"), ("forbidden_expired", "")}:
            return True
        # A token issued after the fault was armed is a fresh one: the refresh has helped.
        return issued_at is not None and issued_at <= self.armed_at - self.seconds


_OWN_FIELDS = frozenset({"id", "armed_at", "matched", "fired", "is_disarmed"})
_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
_FIELDS = {f.name: _TYPES[str(f.type)] for f in fields(Fault) if f.name not in _OWN_FIELDS}


class Faults:
    """The armed faults; safe for many threads."""

    def __init__(self, seed: int) -> None:
        self._seed, self._throws, self._last_id = seed, 0, 0
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def arm(self, spec: dict[str, Any], *, now: float) -> dict[str, Any]:
        """Arm a fault and return it as kept; raises ValueError naming what is wrong with `spec`."""
        _check(spec)
        with self._lock:
            self._last_id += 1
            fault = Fault(**spec, id=self._last_id, armed_at=now)
            self._armed.append(fault)
            return asdict(fault)

    def disarm(self, *, name: str = "", fault_id: int = 0) -> int:
        """Disarm all faults, those of one name, or one; returns how many."""
        with self._lock:
            kept = [
                fault
                for fault in self._armed
                if (name and fault.fault != name) or (fault_id and fault.id != fault_id)
            ]
            for fault in self._armed:
                fault.is_disarmed = fault not in kept
            count, self._armed = len(self._armed) - len(kept), kept
            if not kept:
                self._throws = 0
            return count

    def list(self) -> list[dict[str, Any]]:
        """Return the armed faults with how often they matched and fired."""
        with self._lock:
            return [asdict(fault) for fault in self._armed]

    def is_any_armed(self) -> bool:
        """Return whether there is anything to look for."""
        return bool(self._armed)

    def pick(self, request: Request, endpoint: str, token_issued_at: float | None) -> Fault | None:
        """Return the fault this request gets, counting it."""
        with self._lock:
            for fault in self._armed:
                if fault.matches(request, endpoint, token_issued_at) and self._fires(fault):
                    return fault
        return None

    def _fires(self, fault: Fault) -> bool:
        fault.matched += 1
        spent = fault.count and fault.fired >= fault.count
        if fault.matched < fault.nth or spent:
            return False
        if fault.probability < 1 and self._throw() >= fault.probability:
            return False
        fault.fired += 1
        return True

    def _throw(self) -> float:
        """Return a number from 0 to 1; the same seed gives the same row of numbers."""
        self._throws += 1
        digest = hashlib.sha256(f"{self._seed}:{self._throws}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64


def attach_fault(request: Request, fault: Fault) -> None:
    """Let the handlers of a request know which fault it gets."""
    request.environ[_ATTACHED] = fault


def attached_fault(request: Request) -> Fault | None:
    """Return the fault a request gets, None without one."""
    fault: Fault | None = request.environ.get(_ATTACHED)
    return fault


def is_hit_by(request: Request, name: str) -> bool:
    """Return whether a request gets the fault of that name."""
    fault = attached_fault(request)
    return fault is not None and fault.fault == name


def _check(spec: dict[str, Any]) -> None:
    name = spec.get("fault")
    if name not in NAMES:
        raise ValueError(f"unknown fault {name!r}; known are {', '.join(sorted(NAMES))}")
    for key, value in spec.items():
        if key not in _FIELDS:
            raise ValueError(f"unknown field {key!r}; known are {', '.join(_FIELDS)}")
        if not isinstance(value, _FIELDS[key]) or isinstance(value, bool):
            raise ValueError(f"{key} has the wrong type")
    route = spec.get("route", "")
    if route and route not in ROUTES and not route.startswith("/"):
        raise ValueError(f"route must be part of a path starting with /, or one of {', '.join(sorted(ROUTES))}")
    if spec.get("variant", "") not in VARIANTS.get(name, {""}):
        raise ValueError(f"{name} knows the variants {', '.join(sorted(VARIANTS.get(name, {''})))!r}")
    if spec.get("status", 0) not in STATUSES.get(name, {0}):
        raise ValueError(f"{name} knows the statuses {sorted(STATUSES.get(name, {0}))}")
    if not 0 <= spec.get("probability", 1) <= 1 or spec.get("nth", 1) < 1 or spec.get("count", 0) < 0:
        raise ValueError("probability is from 0 to 1, nth at least 1, count at least 0")
    if not 0 <= spec.get("seconds", 0) <= 86_400:
        raise ValueError("seconds are from 0 to 86400")
