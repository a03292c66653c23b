"""Fail unless the lock files hold what requirements*.txt asks for, with hashes and without naming a package source."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*])?==(?P<version>[^\s;]+)", re.MULTILINE)
SOURCE = re.compile(r"^.*(?:--index-url|--extra-index-url|--find-links|--trusted-host|://).*$", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    """Return the version each package is pinned to, by its normalised name."""
    return {re.sub(r"[-_.]+", "-", pin["name"]).lower(): pin["version"] for pin in PIN.finditer(text)}


def problems(wanted: str, locked: str) -> list[str]:
    """Return what is wrong with the text of a lock file for the text of its list, one sentence each."""
    locked_pins = pins(locked)
    found = [
        f"{name}=={version} is asked for, {locked_pins.get(name, 'nothing')} is locked"
        for name, version in pins(wanted).items()
        if locked_pins.get(name) != version
    ]
    found += [f"it names a package source: {line.strip()}" for line in SOURCE.findall(locked)]
    # An entry is its pin and the indented lines below it.
    for entry in re.split(r"\n(?=[A-Za-z0-9])", locked):
        if PIN.match(entry) and "--hash=sha256:" not in entry:
            found.append(f"{entry.split()[0]} has no hash")
    return found


def main() -> int:
    """Check both locks, print what is wrong, and return the exit code."""
    run_time = (ROOT / "requirements.lock").read_text()
    development = (ROOT / "requirements-dev.lock").read_text()
    listed = (ROOT / "requirements.txt").read_text()
    found = [f"requirements.lock: {problem}" for problem in problems(listed, run_time)]
    # What runs in production is what the tests ran with.
    for wanted in (listed, (ROOT / "requirements-dev.txt").read_text(), run_time):
        found += [f"requirements-dev.lock: {problem}" for problem in problems(wanted, development)]
    for problem in dict.fromkeys(found):
        sys.stderr.write(f"{problem}\n")
    if found:
        sys.stderr.write("`make lock` writes the lock files anew.\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
