"""What a running server knows, in one place: the server builds it, every handler gets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local_amc.clock import Clock
from local_amc.faults import Faults
from local_amc.fixtures import Instance, save_fixtures
from local_amc.options import Options
from local_amc.request_log import RequestLog
from local_amc.runs.queries import ExecutionQueries
from local_amc.runs.runner import Runner
from local_amc.store import Store


@dataclass
class ServerState:
    """The parts of one server; each is safe for many threads."""

    clock: Clock
    store: Store
    faults: Faults
    requests: RequestLog
    options: Options
    # By AMC ID.
    instances: dict[str, Instance]
    queries: ExecutionQueries
    runner: Runner
    _first_options: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._first_options = self.options.to_json()

    def reset(self) -> None:
        """Forget faults, requests, tokens, codes and records, and go back to real time and the first options."""
        self.faults.disarm()
        self.clock.reset()
        self.requests.clear()
        self.runner.forget()
        self.store.clear()
        save_fixtures(self.store.records)
        self.options.update(self._first_options)
