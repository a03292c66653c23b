"""The queue in a folder: kombu's filesystem transport, without the moments in which a file is there but not whole.

Kombu opens a file under its final name before it writes it. A worker that reads it just then finds nothing in it, and
ends with an error. Here a name appears with all it stands for.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)


class Channel(filesystem.Channel):
    """A channel whose files are whole as soon as they can be seen."""

    # Kombu's own classes disagree about the second name.
    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns():020d}_{secrets.token_hex(16)}.{queue}.msg"
        _write(Path(self.data_folder_out) / name, dumps(message))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = folder / f"{name}.taken"
            try:
                # The worker that renames it has it.
                (folder / name).rename(taken)
                text = taken.read_text()
                taken.unlink()
            except FileNotFoundError:
                continue  # another worker was first
            try:
                return loads(text)
            except ValueError:
                # A machine that lost power can leave such a file. What it asked for is sent again by the ticks.
                logger.warning("message unreadable file=%s", name)
        raise Empty

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str) -> None:
        value = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self.control_folder.mkdir(parents=True, exist_ok=True)
        with (self.control_folder / "bind.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            table = self.get_table(exchange)
            if value not in table:
                # get_table refuses names that lead elsewhere.
                _write(self.control_folder / f"{exchange}.exchange", dumps([value, *table]))


class Transport(filesystem.Transport):
    """The filesystem transport with that channel."""

    Channel = Channel


def use_folder_queue() -> None:
    """Let `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    unfinished.write_text(text)
    unfinished.replace(path)
