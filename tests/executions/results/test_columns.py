"""What a stored result says about itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from executions.results.columns import read_facts
from tests.large_results import write_wide


@pytest.mark.parametrize(("typed_columns", "is_partly"), [(None, False), (3, True), (7, False), (1_000, False)])
def test_file_tells_how_many_columns_have_a_type_of_their_own(
    tmp_path: Path, typed_columns: int | None, is_partly: bool
) -> None:
    facts = read_facts(write_wide(tmp_path / "r.parquet", 2, 7, typed_columns=typed_columns))
    assert (facts.typed_columns, facts.is_partly_typed) == (typed_columns, is_partly)
