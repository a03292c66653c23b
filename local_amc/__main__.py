"""Start the local AMC: `python -m local_amc --port 8700 --seed 7 --speed 1 [--control]`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from types import FrameType

from local_amc.listening import listen
from local_amc.server import LocalAmc


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; gives the exit code."""
    options = _parse()
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    app = LocalAmc(
        seed=options.seed,
        speed=options.speed,
        store=options.store,
        has_control=options.control,
        terms_on_list=options.terms_on_list,
    )
    try:
        server = listen(app, host=options.host, port=options.port)
    except OSError as problem:
        sys.stderr.write(
            f"Cannot listen on {options.host}:{options.port}: {problem.strerror or problem}. "
            "Is another local AMC running? Choose another --port.\n"
        )
        return 1

    def stop(signal_number: int, frame: FrameType | None) -> None:
        # shutdown() waits for the loop that this handler interrupts, so it needs a thread.
        threading.Thread(target=server.shutdown).start()

    # Before the address is printed: whoever reads it may stop us at once.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    host = f"[{options.host}]" if ":" in options.host else options.host
    sys.stdout.write(f"Local AMC listens on http://{host}:{server.port}\n")
    sys.stdout.flush()
    server.serve_forever(0.2)
    server.server_close()
    app.store.close()
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="local_amc", description="An imitation of Amazon's services for AMC.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8700, help="0 takes a free one and prints it")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same data")
    parser.add_argument("--speed", type=float, default=1.0, help="how fast runs progress; 0 means at once")
    parser.add_argument("--control", action="store_true", help="open /__control/ (faults, clock, requests)")
    parser.add_argument("--store", default="var/local_amc", help='folder of its data, or ":memory:"')
    parser.add_argument(
        "--terms-on-list", action="store_true", help="refuse the list of instances too before terms are accepted"
    )
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
