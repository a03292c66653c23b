"""Messages to workers: caught before they reach a queue, and delivered as a worker takes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from celery import current_app


@dataclass(frozen=True)
class Message:
    """What was handed to Celery."""

    task: str
    arguments: tuple[str, ...]
    options: dict[str, Any]

    @property
    def text(self) -> str:
        """Return task and arguments, without the packages' names."""
        return " ".join((self.task.rpartition(".")[2], *self.arguments))


class Messages(list[Message]):
    """Messages that wait."""

    @property
    def texts(self) -> list[str]:
        """Return what each of them says."""
        return [message.text for message in self]

    def deliver(self) -> None:
        """Let a worker take all that wait now, in order; what they send waits then."""
        current_app.loader.import_default_modules()
        taken = self[:]
        self.clear()
        for message in taken:
            headers = message.options.get("headers")
            current_app.tasks[message.task].apply(message.arguments, headers=headers, throw=True)


@contextmanager
def caught() -> Iterator[Messages]:
    """Catch what is sent meanwhile."""
    messages = Messages()

    def send(name: str, args: tuple[str, ...] = (), **options: Any) -> None:
        messages.append(Message(name, tuple(args), options))

    with mock.patch.object(current_app, "send_task", send):
        yield messages
