"""What processes logged that they must not: errors and tracebacks, for every fault here is an expected one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

_BAD = re.compile(r" (ERROR|CRITICAL) |^Traceback |database is locked")
# What differs between two lines of the same kind.
_PARTICULAR = re.compile(r"^\S+T\S+ |[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


def findings(logs: Iterable[Path]) -> Iterator[str]:
    """Return each kind of bad line once, with how often it was written."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for path in logs:
        lines = path.read_text(errors="replace").splitlines()
        for number, line in enumerate(lines):
            if _BAD.search(line):
                kind = f"{path.stem.rstrip('12')}: {_PARTICULAR.sub('*', line)[:200]}"
                counts[kind] += 1
                examples.setdefault(kind, _last_of(lines[number + 1 :]))
    for kind, count in counts.most_common():
        yield f"logged {count} times by {kind} | {examples[kind]}"


def _last_of(following: list[str]) -> str:
    """Return the line that ends a traceback, when one follows."""
    for line in following[:80]:
        if re.match(r"[\w.]+(Error|Exception|Exit|Interrupt)\b", line):
            return line[:200]
        if re.match(r"\d{4}-\d\d-\d\dT", line):
            break
    return ""
