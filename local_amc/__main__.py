"""Start the local AMC: `python -m local_amc --port 8700 --seed 7 --speed 1 [--control]`, or run one `query`."""

from __future__ import annotations

import argparse
import logging
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from types import FrameType

from local_amc import query
from local_amc.http_server import listen
from local_amc.options import ROWS_PER_PART
from local_amc.server import LocalAmc
from local_amc.store import StoreInUseError

# A run then takes more than a day.
_MAX_SPEED = 10_000


def main() -> int:
    """Serve until SIGTERM or Ctrl-C, or run one query; returns the exit code."""
    if sys.argv[1:2] == ["query"]:
        return query.main(sys.argv[2:])
    options = _parse()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    try:
        app = _app(options)
    except StoreInUseError:
        sys.stderr.write(f"Another local AMC uses {options.store}. Stop it, or choose another --store.\n")
        return 1
    except (OSError, sqlite3.Error) as problem:
        sys.stderr.write(f"Cannot use {options.store} as --store: {problem}\n")
        return 1
    try:
        server = listen(app, host=options.host, port=options.port)
    except OSError as problem:
        sys.stderr.write(
            f"Cannot listen on {options.host}:{options.port}: {problem.strerror or problem}. "
            "Is another local AMC running? Choose another --port.\n"
        )
        app.close()
        return 1

    def stop(signal_number: int, frame: FrameType | None) -> None:
        # shutdown() waits for the loop that this handler interrupts, so it needs a thread.
        threading.Thread(target=server.shutdown).start()

    # Before the address is printed: the process that reads it may stop us at once.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    host = f"[{options.host}]" if ":" in options.host else options.host
    sys.stdout.write(f"Local AMC listens on http://{host}:{server.port}\n")
    sys.stdout.flush()
    server.serve_forever(0.2)
    server.server_close()
    app.close()
    return 0


def _app(options: argparse.Namespace) -> LocalAmc:
    return LocalAmc(
        seed=options.seed,
        speed=options.speed,
        store=options.store,
        has_control=options.control,
        terms_on_list=options.terms_on_list,
        accepts_order_by=options.accept_order_by,
        refuses_at_post=options.refuse_at_post,
        wraps_answers=options.wrapped,
        rows_per_part=options.rows_per_part,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local_amc", description="An imitation of Amazon's services for AMC.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=_whole(0, 65_535), default=8700, help="0 takes a free one and prints it")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same data")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, help="factor on the times a run takes; 0 means at once"
    )
    parser.add_argument("--control", action="store_true", help="open /__control/ (faults, clock, requests)")
    parser.add_argument("--store", default="var/local_amc", help='folder of its data, or ":memory:"')
    parser.add_argument(
        "--terms-on-list", action="store_true", help="refuse the list of instances too before terms are accepted"
    )
    parser.add_argument("--accept-order-by", action="store_true", help="accept ORDER BY on the outermost SELECT")
    parser.add_argument(
        "--refuse-at-post",
        action="store_true",
        help="answer rejected SQL with 400, not with a REJECTED run",
    )
    parser.add_argument(
        "--wrapped", action="store_true", help='answer single objects as {"workflowExecution": …}, {"workflow": …}'
    )
    parser.add_argument(
        "--rows-per-part", type=_whole(1, 10**9), default=ROWS_PER_PART, help="rows in one file of a result"
    )
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser.parse_args()


def _whole(smallest: int, largest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not smallest <= number <= largest:
            raise argparse.ArgumentTypeError(f"{number} is not between {smallest} and {largest}")
        return number

    # argparse names it when the text is no number at all.
    read.__name__ = "whole number"
    return read


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 <= speed <= _MAX_SPEED:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {_MAX_SPEED}")
    return speed


if __name__ == "__main__":
    sys.exit(main())
