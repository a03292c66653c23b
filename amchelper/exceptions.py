"""Errors whose message is safe to show to the person who caused them."""

from __future__ import annotations


class AmcHelperError(Exception):
    """An expected failure; `message` says what happened and what to do, without secrets."""

    code = "error"
    http_status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidStateError(AmcHelperError):
    """The operation is not allowed in the object's present status."""

    code = "invalid_state"
    http_status = 409


class UndecryptableError(AmcHelperError):
    """A stored secret cannot be read with the configured keys; it is kept, never wiped and never sent."""

    code = "undecryptable"
    http_status = 409
