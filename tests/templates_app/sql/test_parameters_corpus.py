"""The published cases of parameter detection and substitution."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from templates_app.sql.parameters import ParameterError, detect, substitute

CORPUS = os.environ.get("AMC_CORPUS", "")
pytestmark = pytest.mark.skipif(not CORPUS, reason="AMC_CORPUS does not name the folder with the parameter cases")


def cases(name: str) -> list[Any]:
    if not CORPUS:
        return [pytest.param({}, id="corpus")]
    lines = (Path(CORPUS) / "parameters" / name).read_text(encoding="utf-8").splitlines()
    return [pytest.param(case, id=case["id"]) for case in map(json.loads, filter(None, lines))]


@pytest.mark.parametrize("case", cases("detect.jsonl"))
def test_detects(case: Any) -> None:
    found = [{"name": parameter.name, "type": parameter.type} for parameter in detect(case["sql"])]
    assert found == case["parameters"], case["why"]


@pytest.mark.parametrize("case", cases("substitute.jsonl"))
def test_substitutes(case: Any) -> None:
    try:
        outcome = {"expected": substitute(case["sql"], case["values"])}
    except ParameterError as error:
        outcome = {"error": error.code}
    assert outcome == {key: case[key] for key in ("expected", "error") if key in case}, case["why"]
