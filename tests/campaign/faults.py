"""What the local AMC does wrong in a campaign: about every fifth call of each kind."""

from __future__ import annotations

from typing import Any

from tests.campaign.processes import LocalAmc

# Each is thrown for every call that the ones above let pass.
FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "created_but_504", "probability": 0.06},
    {"fault": "created_but_504", "variant": "reset", "probability": 0.06},
    {"fault": "exec_slow_visible", "probability": 0.03},
    {"fault": "download_truncated", "probability": 0.08},
    {"fault": "download_expired", "probability": 0.04},
    {"fault": "download_500", "probability": 0.04},
    {"fault": "download_not_ready", "probability": 0.05},
    {"fault": "throttle", "seconds": 1, "probability": 0.04},
    {"fault": "throttle", "variant": "html", "probability": 0.01},
    {"fault": "server_error", "status": 500, "probability": 0.03},
    {"fault": "server_error", "status": 503, "variant": "html", "probability": 0.03},
    {"fault": "server_error", "status": 504, "probability": 0.02},
    {"fault": "reset", "probability": 0.04},
    {"fault": "truncated_body", "probability": 0.03},
    {"fault": "reset", "route": "result", "probability": 0.04},
    {"fault": "lwa_503", "probability": 0.2},
)


def arm(amc: LocalAmc) -> None:
    """Arm all of them."""
    expire_tokens(amc)
    for fault in FAULTS:
        amc.control("POST", "faults", fault)


def expire_tokens(amc: LocalAmc) -> None:
    """Let all tokens issued so far end now."""
    amc.control("POST", "faults", {"fault": "token_expired", "variant": "old", "route": "/amc/reporting/"})


def fired(amc: LocalAmc) -> dict[str, int]:
    """Count how often each fault struck."""
    counts: dict[str, int] = {}
    for fault in amc.control("GET", "faults")["faults"]:
        name = f"{fault['fault']} {fault['variant'] or fault['status'] or ''}".strip()
        counts[name] = counts.get(name, 0) + fault["fired"]
    return counts
