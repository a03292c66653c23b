"""Results made of a few lines of CSV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from executions.results.columns import ResultFacts
from executions.results.conversion import convert
from instances.amc.executions import OutputColumn

MakeResult = Callable[..., tuple[Path, ResultFacts]]


@pytest.fixture
def make_result(tmp_path: Path) -> MakeResult:
    """Convert CSV text; `types` are AMC's declarations by column."""

    def make(text: str, types: dict[str, str] | None = None) -> tuple[Path, ResultFacts]:
        source, target = tmp_path / "result.csv", tmp_path / "result.parquet"
        source.write_bytes(text.encode())
        columns = None if types is None else [OutputColumn(name, kind, "") for name, kind in types.items()]
        return target, convert(source, target, columns=columns)

    return make
