"""The project's own files: one version, and locks that hold what the lists ask for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import amchelper
from scripts import check_lock

ROOT = Path(__file__).resolve().parent.parent
LIST = "# Why.\nDjango==5.2.19\ndjango-allauth[mfa]==65.21.1\n"
LOCK = """\
# made by a program
django==5.2.19 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via -r requirements.txt
django-allauth[mfa]==65.21.1 \\
    --hash=sha256:cc
"""


class TestVersion:
    def test_the_package_is_its_only_source(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        assert "version" not in project["project"]
        assert project["project"]["dynamic"] == ["version"]
        assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "amchelper.__version__"}

    def test_the_newest_release_of_the_changelog_is_this_one(self) -> None:
        released = re.findall(r"^## \[(\d[^]]*)] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M)
        assert released[0] == amchelper.__version__


class TestLock:
    def test_this_project(self) -> None:
        assert check_lock.main() == 0

    def test_a_complete_lock(self) -> None:
        assert check_lock.problems(LIST, LOCK) == []

    def test_another_version(self) -> None:
        assert check_lock.problems(LIST.replace("5.2.19", "5.2.20"), LOCK) == [
            "django==5.2.20 is asked for, 5.2.19 is locked"
        ]

    def test_a_package_that_is_not_locked(self) -> None:
        assert check_lock.problems("Zope.Interface==1.0\n", LOCK) == [
            "zope-interface==1.0 is asked for, nothing is locked"
        ]

    def test_an_entry_without_a_hash(self) -> None:
        assert check_lock.problems(LIST, LOCK.replace(" \\\n    --hash=sha256:cc", "")) == [
            "django-allauth[mfa]==65.21.1 has no hash"
        ]

    def test_a_package_source(self) -> None:
        assert check_lock.problems(LIST, "--index-url https://pypi.example.com/simple\n" + LOCK) == [
            "it names a package source: --index-url https://pypi.example.com/simple"
        ]
