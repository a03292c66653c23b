"""Look up the addresses of a host within a time.

The system's resolver knows no limit but its own: with name servers that do not answer it takes half a minute and more,
and nothing can end it. So it works in a thread that is waited for only so long. Whoever asks for the same name
meanwhile waits for the same thread, so that there is one for each host at the most.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from concurrent.futures import Future

from urllib3.util.connection import allowed_gai_family

Question = tuple[str, int, socket.AddressFamily]

_under_way: dict[Question, Future[list[str]]] = {}
_lock = threading.Lock()


def addresses_of(name: str, port: int, seconds: float | None) -> list[str]:
    """Return the addresses of a host, each once; raises TimeoutError after so many seconds, OSError, UnicodeError."""
    question = (name, port, allowed_gai_family())
    if _is_address(name):
        return _ask(question)
    with _lock:
        answer = _under_way.get(question)
        if answer is None:
            answer = Future[list[str]]()
            # A daemon: one that waits for a name server keeps no process from ending.
            thread = threading.Thread(target=_look_up, args=(question, answer), name=f"lookup {name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                raise OSError(f"No thread can be started to look up {name}.") from error
            # The thread cannot forget it before that: it needs the lock.
            _under_way[question] = answer
    return answer.result(seconds)


def _look_up(question: Question, answer: Future[list[str]]) -> None:
    try:
        found = _ask(question)
    # Whoever waits is to hear of it, whatever it is.
    except BaseException as error:
        _forget(question)
        answer.set_exception(error)
    else:
        _forget(question)
        answer.set_result(found)


def _forget(question: Question) -> None:
    # Before the answer is given: who asks then asks anew.
    with _lock:
        _under_way.pop(question, None)


def _ask(question: Question) -> list[str]:
    name, port, family = question
    rows = socket.getaddrinfo(name, port, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
