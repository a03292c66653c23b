"""What the local AMC does wrong in a campaign: about every fifth call of each kind."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.campaign.processes import LocalAmc

# Each is thrown for every call that the ones above let pass.
FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "created_but_504", "probability": 0.05},
    {"fault": "created_but_504", "variant": "reset", "probability": 0.05},
    # AMC has it and shows nothing of it for a while: a worker that posts again too soon doubles it.
    {"fault": "created_but_504", "seconds": 45, "probability": 0.02},
    {"fault": "exec_slow_visible", "probability": 0.03},
    {"fault": "download_truncated", "probability": 0.08},
    {"fault": "download_expired", "probability": 0.04},
    {"fault": "download_500", "probability": 0.04},
    {"fault": "download_not_ready", "probability": 0.05},
    {"fault": "throttle", "seconds": 1, "probability": 0.03},
    {"fault": "throttle", "variant": "html", "probability": 0.01},
    {"fault": "server_error", "status": 500, "probability": 0.02},
    {"fault": "server_error", "status": 503, "variant": "html", "probability": 0.02},
    {"fault": "server_error", "status": 504, "probability": 0.02},
    {"fault": "reset", "probability": 0.03},
    {"fault": "truncated_body", "probability": 0.03},
    {"fault": "reset", "route": "result", "probability": 0.04},
    {"fault": "lwa_503", "probability": 0.2},
)
_EXPIRED = {"fault": "token_expired", "variant": "old", "route": "/amc/reporting/"}


class Strikes:
    """The armed faults, and what is known of their strikes and of all calls, over restarts of the server too."""

    def __init__(self, amc: LocalAmc) -> None:
        self._amc = amc
        self._before: Counter[str] = Counter()
        self._calls = 0

    def arm(self) -> None:
        """Arm all of them; a server forgets them when it ends."""
        self.expire_tokens()
        for fault in FAULTS:
            self._amc.control("POST", "faults", fault)

    def expire_tokens(self) -> None:
        """Let all tokens issued so far end now."""
        self._amc.control("POST", "faults", _EXPIRED)

    def count_calls(self) -> int:
        """Return how many calls there were; the server remembers the latest only."""
        self._calls += len(self._amc.control("GET", "requests")["requests"])
        self._amc.control("DELETE", "requests")
        return self._calls

    def keep(self) -> None:
        """Keep the counts of a server that is about to be killed."""
        self._before = self.fired()
        self.count_calls()
        self._amc.control("DELETE", "faults")

    def fired(self) -> Counter[str]:
        """Count how often each fault struck."""
        counts = self._before.copy()
        for fault in self._amc.control("GET", "faults")["faults"]:
            counts[_label(fault)] += fault["fired"]
        return counts

    def idle(self) -> list[str]:
        """Return the faults that never struck: a campaign without them proves less than it says."""
        fired = self.fired()
        return [_label(fault) for fault in (*FAULTS, _EXPIRED) if not fired[_label(fault)]]


def _label(fault: dict[str, Any]) -> str:
    seconds = f"{fault['seconds']:g}s" if fault.get("seconds") else ""
    parts = (fault["fault"], fault.get("variant"), fault.get("status"), fault.get("route"), seconds)
    return " ".join(str(part) for part in parts if part)
