"""Run the browser tests again and again beside busy processes: `python -m tests.e2e.repeat [ARGUMENTS OF PYTEST]`.

Waiting for luck shows on a machine that has little time. `--times 3` runs them three times only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It ends by itself when this process is killed.
_BUSY = f"import os\nwhile os.getppid() == {os.getpid()}: sum(range(100_000))"


@contextmanager
def busy_processes(number: int) -> Iterator[None]:
    """Keep so many cores busy until the block ends."""
    processes = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def main() -> int:
    """Run all times and say how each went; returns the worst exit code."""
    parser = argparse.ArgumentParser(prog="tests.e2e.repeat", description=__doc__, allow_abbrev=False)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--busy", type=int, default=2, help="processes that do nothing but keep a core busy")
    options, arguments = parser.parse_known_args()
    codes = []
    with busy_processes(options.busy):
        for number in range(1, options.times + 1):
            command = [sys.executable, "-m", "pytest", *(arguments or ["tests/e2e"])]
            codes.append(subprocess.run(command, check=False).returncode)
            outcome = "passed" if codes[-1] == os.EX_OK else f"FAILED ({codes[-1]})"
            print(f"== run {number} of {options.times}: {outcome}", flush=True)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
