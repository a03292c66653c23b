"""A running server and an engine on built data, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from local_amc.server import LocalAmcServer
from tests.local_amc.api import NOON, Api
from tests.local_amc.outcomes import Shell
from tests.local_amc.shared import INSTANCE, INSTANCES, Amc, SharedData, utc_now
from tests.shared_data import build_data


@pytest.fixture(scope="session")
def amc() -> Iterator[Amc]:
    """AMC SQL in this process, on the synthetic data of an instance with everything in it."""
    with SharedData.warehouse().cursor(INSTANCES[INSTANCE], datetime.now(UTC)) as cursor:
        yield Amc(cursor, utc_now())


@pytest.fixture(scope="module")
def server() -> Iterator[LocalAmcServer]:
    """A server on which runs end at once."""
    with LocalAmcServer(speed=0, data=build_data()) as running:
        yield running


@pytest.fixture
def shell(server: LocalAmcServer) -> Shell:
    """A client of that server, which has forgotten everything."""
    server.reset()
    return Shell(server)


@pytest.fixture
def api(server: LocalAmcServer) -> Api:
    """A caller of that server's reporting API, which has forgotten everything; data end on the same day for ever."""
    server.reset()
    server.control("POST", "clock", {"set": NOON})
    return Api(server.url)
