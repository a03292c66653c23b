"""The package's README names everything there is, and its examples work."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from local_amc import control
from local_amc.faults import NAMES, PLACES, ROUTES, VARIANTS
from local_amc.server import LocalAmcServer
from tests.serving import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "local_amc" / "README.md").read_text()
EXAMPLES = re.findall(r"^curl .*127\.0\.0\.1:8700/.*$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", [[], ["query"]])
def test_every_option_is_explained_and_none_else(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local_amc", *command, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    known = set(re.findall(r"--[a-z-]+", done.stdout)) - {"--help"}
    head, _, tail = TEXT.partition("## One query from the shell")
    rows = re.findall(r"^\| (`--.*?) \|", (tail.partition("## Control")[0] if command else head), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"--[a-z-]+", row)} == known


def test_every_fault_with_its_variants_and_every_route() -> None:
    faults = TEXT.partition("## Faults")[2]
    rows = dict(re.findall(r"^\| (`[a-z].*?) \| (.*) \|$", faults, re.MULTILINE))
    named = {name: words for row, words in rows.items() for name in re.findall(r"`(\w+)`", row)}
    assert set(named) >= NAMES
    for name, variants in VARIANTS.items():
        assert all(f"`{variant}`" in named[name] for variant in variants - {""}), name
    assert {name for name in ROUTES if f"`{name}`" in named["route"]} == ROUTES
    # What strikes one call stands in the table of such faults.
    assert all(f"`{name}`" in faults.partition("fault of a reporting call")[2] for name in PLACES)


def test_every_control_route_has_an_example_that_works(server: LocalAmcServer) -> None:
    server.reset()
    called = set()
    for line in EXAMPLES:
        words = shlex.split(line)
        body = json.loads(words[words.index("-d") + 1]) if "-d" in words else None
        method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
        url = f"http://{words[-1]}".replace("http://127.0.0.1:8700", server.url)
        response = requests.request(method, url, json=body, timeout=PATIENCE)
        assert response.status_code == 200, (line, response.text)
        called.add(url.rpartition("/")[2])
    assert called == {route for _, route in control._ACTIONS}
    for method, route in control._ACTIONS:
        [row] = re.findall(rf"^\| (.*) /__control/{route}` \|", TEXT, re.MULTILINE)
        assert method in row


def test_fixtures_exist(server: LocalAmcServer) -> None:
    fixtures = TEXT.partition("## Fixtures")[2].partition("## Data")[0]
    named = set(re.findall(r"`(amclocal\w+)`", fixtures))
    assert named <= set(server.app.state.instances)
    listed = {name for name in server.app.state.instances if not name.startswith("amclocaljp")}
    assert listed <= named
