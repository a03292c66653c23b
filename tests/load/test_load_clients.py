"""The load of many people, small, and whatever the machine has to do beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.load.load_clients import _explain, _tracebacks, run
from tests.product import Product

TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\nValueError: broken'
LOG = f"INFO fine\nERROR Internal Server Error: /\n{TRACEBACK}\nINFO fine\nERROR again\n{TRACEBACK}\nINFO fine\n"


def test_what_people_save_and_start_at_once_is_there() -> None:
    assert run(clients=4, posts=3, rows=1_200, runs=8, checked=10) == 0


def test_what_did_not_hold_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "web.log").write_text(LOG)
    (tmp_path / "beat.log").write_text("INFO fine\n")
    found = _tracebacks(Product(tmp_path, 0, 0, {}))
    assert found == {"web.log": [TRACEBACK, TRACEBACK]}
    _explain(["a run was lost"], found, [(0.75, 0.125, "'UPDATE x'")])
    said = capsys.readouterr().out
    assert "clients: a run was lost\n" in said
    assert f"clients: web.log, 2 times:\n{TRACEBACK}\n" in said
    assert "lock held for 0.75 s by the clock, 0.125 s of CPU, from 'UPDATE x'" in said
