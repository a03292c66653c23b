"""Names of executions."""

from __future__ import annotations

import datetime as dt

import pytest

from planning.naming import MAX_LENGTH, execution_name

START, END = dt.date(2026, 9, 1), dt.date(2026, 9, 30)
DATES = " - 2026-09-01 - 2026-09-30"


def name(template: str = "Path to conversion", brand: str | None = "Acme", instance: str = "Acme US") -> str:
    return execution_name(brand=brand, instance_name=instance, template_name=template, start=START, end=END)


def test_name_is_brand_template_and_dates() -> None:
    assert name() == "Acme - Path to conversion - 2026-09-01 - 2026-09-30"


@pytest.mark.parametrize("brand", [None, "", "  "])
def test_instance_stands_in_for_a_missing_brand(brand: str | None) -> None:
    assert name(brand=brand) == "Acme US - Path to conversion - 2026-09-01 - 2026-09-30"


def test_name_that_fits_exactly_is_left_alone() -> None:
    template = "t" * (MAX_LENGTH - len("Acme - ") - len(DATES))
    assert name(template) == f"Acme - {template}{DATES}"
    assert len(name(template)) == MAX_LENGTH == 500


def test_long_template_is_cut_with_an_ellipsis_and_dates_stay() -> None:
    template = "t" * (MAX_LENGTH - len("Acme - ") - len(DATES))
    shortened = name(template + "x")
    assert len(shortened) == MAX_LENGTH
    assert shortened == f"Acme - {template[:-1]}…{DATES}"
    assert len(name("t" * 5000)) == MAX_LENGTH


def test_cut_leaves_no_space_before_the_ellipsis() -> None:
    shortened = name("t " * 1000)
    assert "t…" in shortened
    assert MAX_LENGTH - 1 <= len(shortened) <= MAX_LENGTH


@pytest.mark.parametrize("template", ["t" * 255, "t", ""])
def test_brand_is_cut_only_when_the_template_has_nothing_left_to_give(template: str) -> None:
    shortened = name(template, brand="b" * 800)
    assert len(shortened) == MAX_LENGTH
    assert shortened.startswith("bbb")
    assert shortened.endswith(f"… - {'…' if len(template) > 1 else template}{DATES}")


def test_line_breaks_and_runs_of_spaces_become_one_space() -> None:
    assert name("Path\n to\t conversion ", brand=" Acme\r\nGmbH ") == f"Acme GmbH - Path to conversion{DATES}"
