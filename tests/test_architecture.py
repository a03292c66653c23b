"""docs/architecture.md says what the code is: every path it names exists, every step of its journeys is a function."""

from __future__ import annotations

import ast
import importlib
import re
import unittest
from pathlib import Path

from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = (
    "amc_facts", "amchelper", "executions", "instances", "local_amc", "planning", "schedules", "templates_app",
)  # fmt: skip
# Journeys and how many files each may cross at the most.
JOURNEYS = {
    "How a template's SQL reaches AMC": 21,
    "How a health check goes": 12,
    "How a due slot becomes a result": 22,
}


def section(title: str) -> str:
    """Return the text below a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"There is no section {title!r}."
    return found[1]


def functions_of(path: Path) -> set[str]:
    """Return the functions a module defines, methods as `Class.method`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
            names.add(node.name)
    return names


class ArchitectureTests(unittest.TestCase):
    def test_no_class_name_means_two_things(self) -> None:
        names: dict[str, list[str]] = {}
        for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                # Django finds these by their names.
                if isinstance(node, ast.ClassDef) and node.name not in ("Command", "Migration"):
                    names.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
        self.assertGreater(len(names), 200)
        self.assertEqual({name: paths for name, paths in names.items() if len(paths) > 1}, {})

    def test_every_path_exists(self) -> None:
        paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)(?:::[\w.]+)?`", PAGE)
        self.assertGreater(len(paths), 40)
        missing = sorted({path for path in paths if not (ROOT / path).exists()})
        self.assertEqual(missing, [])

    def test_rules_have_one_place_each(self) -> None:
        rows = [line.split("|") for line in section("Rules with one place").splitlines() if line.startswith("| ")]
        rules = {row[1].strip(): row[2] for row in rows if row[1].strip() not in ("rule", "---")}
        self.assertGreater(len(rules), 20)
        for rule, place in rules.items():
            for path, name in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.py)(?:::([\w.]+))?`", place):
                with self.subTest(rule=rule, path=path, name=name):
                    self.assertTrue((ROOT / path).is_file())
                    if name:
                        self.assertIn(name, functions_of(ROOT / path) | set(vars(module_of(path))))

    def test_journeys_name_functions_in_few_files(self) -> None:
        for title, most in JOURNEYS.items():
            steps = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.py)::([\w.]+)`", section(title))
            with self.subTest(title):
                self.assertGreater(len(steps), 8)
                self.assertLessEqual(len({path for path, _ in steps}), most)
            for path, name in steps:
                with self.subTest(title, path=path, name=name):
                    self.assertIn(name, functions_of(ROOT / path))


def module_of(path: str) -> object:
    """Return the imported module of a file."""
    return importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
