"""Run every load of this folder, `load_*.py` with `run() -> int`, or those named: `python -m tests.load [queue …]`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(chosen: list[str]) -> int:
    """Run them one after the other; returns 1 when one of them did not hold."""
    found = sorted(path.stem.removeprefix("load_") for path in Path(__file__).parent.glob("load_*.py"))
    if unknown := sorted(set(chosen) - set(found)):
        sys.exit(f"There is no load {', '.join(unknown)}. There are: {', '.join(found)}.")
    failed = False
    for name in chosen or found:
        failed |= bool(importlib.import_module(f"tests.load.load_{name}").run())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
