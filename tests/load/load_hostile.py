"""A thousand posts that want too much of preview, parameters, lint, save and upload: the web process stays small."""

from __future__ import annotations

import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import requests

from tests.campaign.processes import Process
from tests.product import CREATE_ALICE, EMAIL, PASSWORD, Product, running_product

POSTS, CLIENTS = 1_000, 4
MAX_MEGABYTES = 400
# Every post is to be read by what it is meant for, not turned away by a limit on how many a user may send.
UNLIMITED = {"PREVIEWS_PER_MINUTE": "0", "UPLOADS_PER_MINUTE": "0"}
# Answers to a post that was looked at: a page, where to go next, or that it holds too much.
READ = {200, 302, 413}
_SETUP = f"""
{CREATE_ALICE}
from tests.factories import InstanceFactory
instance = InstanceFactory.create(account__connection__user=User.objects.get())
instance.brands.create(name="Norda", folded="norda")
print("instance", instance.pk)
"""

Post = Callable[["Client"], requests.Response]


class Client:
    """Somebody who is signed in and means no good."""

    def __init__(self, product: Product, instance: str) -> None:
        self.url, self.instance = product.url, instance
        self.session = requests.Session()
        signed_in = self.post("/accounts/login/", {"login": EMAIL, "password": PASSWORD})
        assert signed_in.is_redirect, f"signing in was answered with {signed_in.status_code}"

    def post(self, path: str, data: dict[str, str], file: bytes | None = None) -> requests.Response:
        """Post a form with its token."""
        if "csrftoken" not in self.session.cookies:
            self.session.get(f"{self.url}/accounts/login/", timeout=60)
        token = self.session.cookies["csrftoken"]
        files = None if file is None else {"file": ("list.csv", file)}
        return self.session.post(
            self.url + path,
            {**data, "csrfmiddlewaretoken": token},
            files=files,
            timeout=120,
            allow_redirects=False,
        )

    def template(self, *, action: str, form: dict[str, str]) -> requests.Response:
        """Post to one of the editor's addresses."""
        path = f"/instances/{self.instance}/templates/{action}/"
        return self.post(path, {"name": "Hostile", "action": "save", **form})

    def mapping(self, *, text: str = "", file: bytes | None = None) -> requests.Response:
        """Post a list to the mappings."""
        return self.post(f"/instances/{self.instance}/mappings/add/", {"kinds": "asins", "text": text}, file)


def _editor(action: str, sql: str, values: dict[str, str]) -> Post:
    form = {"source_sql": sql, **{f"value:{name}": value for name, value in values.items()}}
    return partial(Client.template, action=action, form=form)


def hostile_posts() -> list[Post]:
    """Return one post of each kind."""
    repeated = "campaign IN ({{y}}) " * 1_000
    steps = ", ".join(f"t{n} AS (TABLE t{n - 1})" for n in range(1, 4_000))
    conditions = " AND ".join(["a = 1"] * 2_200)
    texts = {
        "amplified": (repeated, {"y": "v" * 500_000}),
        "many parameters": (" ".join(f"{{{{asins_{n}}}}}" for n in range(300)), {}),
        "not closed": ("SELECT '" + "{{a}} " * 30_000, {"a": "'" * 1_000}),
        "brackets": ("SELECT " + "(" * 20_000, {}),
        "ands": (f"SELECT {conditions}", {}),
        "unions": (" UNION ALL ".join(["SELECT 1 AS a"] * 400), {}),
        "chain": (f"WITH t0 AS (SELECT 1 AS a), {steps} TABLE t3999", {}),
    }
    posts = [
        _editor(action, sql, values)
        for sql, values in texts.values()
        for action in ("preview", "parameters", "lint", "new")
    ]
    files = (
        b"asin\n" + b"\n" * 5_000_000,
        ",".join(f"column{n}" for n in range(2_000)).encode() + b"\n" + b"," * 1_000_000,
        b'asin\n"' + b"B000000001," * 800_000,
        b"asin\n" + b"nonsense\n" * 500_000,
    )
    posts += [partial(Client.mapping, file=file) for file in files]
    return [*posts, *(partial(Client.mapping, text=text) for text in ("x\n" * 500_000, "," * 1_000_000))]


def run(posts: int = POSTS) -> int:
    """Send so many; returns 0 when the web process stayed small, read each of them, and failed at none."""
    with (
        tempfile.TemporaryDirectory(prefix="amc-load-") as folder,
        running_product(Path(folder), "web", setup=_SETUP, settings=UNLIMITED) as product,
        watched(product.processes["web"]) as memory,
    ):
        statuses = _send(product, posts)
        tracebacks = product.processes["web"].said().count(b"Traceback")
    say(f"hostile: {posts} posts answered with {dict(sorted(statuses.items()))}, {tracebacks} tracebacks")
    say(f"hostile: peak memory of the web process = {memory[0]} MB (target < {MAX_MEGABYTES})")
    is_fine = memory[0] < MAX_MEGABYTES and not tracebacks and statuses.keys() <= READ
    return 0 if is_fine and statuses.total() == posts else 1


def _send(product: Product, number: int) -> Counter[int]:
    found = re.search(r"instance (\S+)", product.said)
    assert found is not None, product.said
    clients = [Client(product, found[1]) for _ in range(CLIENTS)]
    kinds = list(islice(cycle(hostile_posts()), number))
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = pool.map(lambda at: [_status(kind(clients[at])) for kind in kinds[at::CLIENTS]], range(CLIENTS))
        return Counter(status for share in shares for status in share)


def _status(answer: requests.Response) -> int:
    """Return the status of an answer; who is sent to sign in was not let in."""
    return 401 if "/accounts/login/" in answer.headers.get("Location", "") else answer.status_code


@contextmanager
def watched(process: Process) -> Iterator[list[int]]:
    """Lend a list whose only item is the largest memory of a process and its children so far, in MB."""
    peak, is_over = [0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.05):
            peak[0] = max(peak[0], max(map(_resident, _family(process.pid)), default=0) // 1_000_000)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        is_over.set()
        thread.join()


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [pid, *(member for child in below for member in _family(child))]


def _resident(pid: int) -> int:
    """Return the bytes of memory a process has."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
