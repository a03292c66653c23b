"""Free ports, and waiting for servers that tests start."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

# Seconds a test waits for what must come, however busy the machine is. Only what never comes takes so long.
PATIENCE = 300.0


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers, or fail with what it did instead."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"The server of {url} ended with code {process.returncode}.")
        try:
            urllib.request.urlopen(url, timeout=10)  # noqa: S310  our own server on loopback
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{url} did not answer.")
