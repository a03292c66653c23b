"""The queue in a folder: whole messages, each to one worker, whatever else lies there, at a cost in proportion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any
from unittest import mock

from django.test import SimpleTestCase
from kombu import Connection

from amchelper.folder_queue import UNFINISHED_SECONDS, use_folder_queue

WRITERS, READERS, MESSAGES = 3, 3, 300
# Each reader ends when it is told so; what it took is printed.
PROCESS = """
import sys, time
from queue import Empty
from tests.test_folder_queue import message, number, open_channel
role, me, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open_channel(folder) as channel:
    channel._queue_bind("work", "work", "", "work")
    if role == "writer":
        for n in range({messages}):
            channel._put("work", message(me * 1_000_000 + n, filling="x" * 2000))
    else:
        while True:
            try:
                taken = number(channel._get("work"))
            except Empty:
                time.sleep(0.001)
                continue
            if taken < 0:
                break
            print(taken)
"""
# The process is killed in the moment before the first call of the system that is named.
KILLED = """
import os, signal, sys
from tests.test_folder_queue import message, open_channel
event, folder = sys.argv[1], sys.argv[2]
with open_channel(folder) as channel:
    sys.addaudithook(lambda name, args: os.kill(os.getpid(), signal.SIGKILL) if name == event else None)
    if event == "os.rename":
        channel._put("work", message(2))
    else:
        channel._get("work")
"""


class open_channel:  # noqa: N801  used like a function
    """A channel on a folder: `with open_channel(folder) as channel`."""

    def __init__(self, folder: str, **options: Any) -> None:
        use_folder_queue()
        places = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": f"{folder}/control"}
        self.connection = Connection("filesystem://localhost", transport_options={**places, **options})

    def __enter__(self) -> Any:
        return self.connection.channel()

    def __exit__(self, *failure: object) -> None:
        self.connection.close()


def message(n: int, **fields: Any) -> dict[str, Any]:
    """Return a message as kombu makes them."""
    return {"body": json.dumps({"n": n, **fields}), "properties": {"delivery_tag": str(n)}}


def number(taken: dict[str, Any]) -> int:
    """Return the number of such a message."""
    return int(json.loads(taken["body"])["n"])


@contextmanager
def calls_of_the_system() -> Iterator[Counter[str]]:
    """Count the calls that look at folders and files."""
    counts: Counter[str] = Counter()
    with mock.patch.multiple(os, **{name: _counting(counts, name) for name in ("listdir", "scandir", "stat")}):
        yield counts


def _counting(counts: Counter[str], name: str) -> Any:
    call = getattr(os, name)

    def count(*args: Any, **kwargs: Any) -> Any:
        counts[name] += 1
        return call(*args, **kwargs)

    return count


class FolderQueueTestCase(SimpleTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="amc-queue-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "work").mkdir()

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "work").rglob("*") if path.is_file())


class FolderQueueTests(FolderQueueTestCase):
    def test_messages_come_in_order_and_once(self) -> None:
        with open_channel(str(self.folder)) as channel:
            for n in range(5):
                channel._put("work", message(n))
            self.assertEqual(channel._size("work"), 5)
            self.assertEqual([number(channel._get("work")) for _ in range(5)], list(range(5)))
            self.assertRaises(Empty, channel._get, "work")
        self.assertEqual(self.files(), [])

    def test_other_queues_are_left_alone(self) -> None:
        with open_channel(str(self.folder)) as channel:
            channel._put("other", message(1))
            self.assertRaises(Empty, channel._get, "work")
            self.assertEqual(number(channel._get("other")), 1)

    def test_queues_may_have_any_name(self) -> None:
        with open_channel(str(self.folder)) as channel:
            for name in ("celery@host.celery.pidbox", "../outside"):
                channel._put(name, message(1))
                self.assertEqual(number(channel._get(name)), 1)
        self.assertFalse((self.folder.parent / "outside").exists())

    def test_queue_that_is_deleted_leaves_nothing(self) -> None:
        with open_channel(str(self.folder)) as channel:
            channel.exchange_declare("replies", type="direct")
            channel.queue_declare("reply")
            channel.queue_bind("reply", "replies", "reply")
            channel._put("reply", message(1))
            channel.queue_delete("reply")
        self.assertFalse((self.folder / "reply").exists())

    def test_purging_counts(self) -> None:
        with open_channel(str(self.folder)) as channel:
            for n in range(3):
                channel._put("work", message(n))
            self.assertEqual(channel._purge("work"), 3)
        self.assertEqual(self.files(), [])

    def test_many_processes_lose_and_double_nothing(self) -> None:
        script = PROCESS.format(messages=MESSAGES)
        run = [sys.executable, "-c", script]
        readers = [
            subprocess.Popen([*run, "reader", str(n), str(self.folder)], stdout=subprocess.PIPE)
            for n in range(READERS)
        ]
        writers = [subprocess.Popen([*run, "writer", str(n), str(self.folder)]) for n in range(WRITERS)]
        self.assertEqual([writer.wait(120) for writer in writers], [0] * WRITERS)
        with open_channel(str(self.folder)) as channel:
            for _ in readers:
                channel._put("work", message(-1))
        taken = [int(line) for reader in readers for line in reader.communicate(timeout=120)[0].split()]
        self.assertEqual([reader.returncode for reader in readers], [0] * READERS)
        expected = [writer * 1_000_000 + n for writer in range(WRITERS) for n in range(MESSAGES)]
        self.assertEqual(sorted(taken), expected)


class CostTests(FolderQueueTestCase):
    def drain(self, count: int) -> Counter[str]:
        """Put and take so many messages; returns what was asked of the system meanwhile."""
        with open_channel(str(self.folder)) as channel, calls_of_the_system() as counts:
            for n in range(count):
                channel._put("work", message(n))
            self.assertEqual([number(channel._get("work")) for n in range(count)], list(range(count)))
            self.assertRaises(Empty, channel._get, "work")
        return counts

    def test_folder_is_read_once_however_many_messages_are_in_it(self) -> None:
        few, many = self.drain(100), self.drain(10_000)
        self.assertEqual((few["listdir"], many["listdir"]), (2, 2))
        self.assertEqual((many["scandir"], many["stat"]), (0, 0))

    def test_messages_that_come_while_others_are_taken_wait_their_turn(self) -> None:
        with open_channel(str(self.folder)) as channel, calls_of_the_system() as counts:
            for n in range(100):
                channel._put("work", message(n))
            taken = []
            for n in range(100, 200):
                taken.append(number(channel._get("work")))
                channel._put("work", message(n))
            taken += [number(channel._get("work")) for _ in range(100)]
        self.assertEqual((taken, counts["listdir"]), (list(range(200)), 2))


class HealingTests(FolderQueueTestCase):
    def die(self, event: str) -> None:
        """Let a process die just before a call of the system."""
        died = subprocess.run([sys.executable, "-c", KILLED, event, str(self.folder)], check=False, timeout=120)
        self.assertEqual(died.returncode, -signal.SIGKILL)

    def test_worker_that_dies_while_it_takes_a_message_leaves_it_to_the_others(self) -> None:
        with open_channel(str(self.folder)) as channel:
            channel._put("work", message(1))
            self.die("os.remove")
            self.assertEqual(number(channel._get("work")), 1)
        self.assertEqual(self.files(), [])

    def test_writer_that_dies_leaves_no_half_message_and_nothing_for_ever(self) -> None:
        with open_channel(str(self.folder)) as channel:
            self.die("os.rename")
            (left,) = self.files()
            self.assertTrue(left.startswith("."))
            self.assertRaises(Empty, channel._get, "work")
            self.assertEqual(self.files(), [left])
            long_ago = time.time() - UNFINISHED_SECONDS - 1
            os.utime(self.folder / "work" / left, (long_ago, long_ago))
            self.assertRaises(Empty, channel._get, "work")
        self.assertEqual(self.files(), [])

    def test_disk_that_is_full_leaves_no_half_message(self) -> None:
        with (
            open_channel(str(self.folder)) as channel,
            mock.patch.object(Path, "replace", side_effect=OSError(28, "No space left on device")),
        ):
            self.assertRaises(OSError, channel._put, "work", message(1))
        self.assertEqual(self.files(), [])

    def test_what_is_no_message_is_put_aside_with_a_line_in_the_log(self) -> None:
        broken = {
            "empty": b"", "half": b'{"body": ', "zeros": bytes(64), "no text": b"\xff\xfe", "number": b"1",
            "list": b"[]", "null": b"null", "nothing": b"{}", "no tag": b'{"properties": {}}',
            "properties": b'{"properties": 1}',
        }  # fmt: skip
        for position, content in enumerate(broken.values()):
            (self.folder / "work" / f"{position}.msg").write_bytes(content)
        with (
            open_channel(str(self.folder)) as channel,
            self.assertLogs("amchelper.folder_queue", "WARNING") as log,
        ):
            channel._put("work", message(1))
            self.assertEqual(number(channel._get("work")), 1)
            self.assertRaises(Empty, channel._get, "work")
            self.assertEqual(channel._size("work"), 0)
        self.assertEqual(len(log.output), len(broken))
        aside = self.folder / "work" / "unreadable"
        self.assertIn(str(aside / "0.msg"), log.output[0])
        self.assertEqual({path.read_bytes() for path in aside.iterdir()}, set(broken.values()))


class ShareTests(FolderQueueTestCase):
    """A worker that takes several kinds of work divides its threads; none waits for another kind."""

    THREADS = {"steps": 6, "checks": 2}

    def take(self, channel: Any, count: int) -> list[str]:
        """Take so many messages without finishing any; returns their queues."""
        taken: list[str] = []
        for _ in range(count):
            try:
                channel.drain_events(callback=lambda raw, queue: channel.connection._callbacks[queue](raw))
            except Empty:
                break
            taken.append(list(channel.qos._delivered.values())[-1].delivery_info["routing_key"])
        return taken

    def consume(self, channel: Any, prefetch: int, *queues: str) -> None:
        """Let a channel consume these queues, each full of messages."""
        channel.basic_qos(prefetch_count=prefetch)
        for queue in queues:
            for _ in range(20):
                channel.basic_publish(channel.prepare_message("{}"), exchange="", routing_key=queue)
            channel.basic_consume(queue, no_ack=False, callback=lambda message: None, consumer_tag=queue)

    def test_each_kind_gets_its_threads_and_no_more(self) -> None:
        with open_channel(str(self.folder), threads=self.THREADS) as channel:
            self.consume(channel, 8, "steps", "checks")
            self.assertEqual(Counter(self.take(channel, 40)), {"steps": 6, "checks": 2})

    def test_thread_that_is_done_takes_the_next_of_its_kind(self) -> None:
        with open_channel(str(self.folder), threads=self.THREADS) as channel:
            self.consume(channel, 8, "steps", "checks")
            self.take(channel, 40)
            tag = next(t for t, m in channel.qos._delivered.items() if m.delivery_info["routing_key"] == "checks")
            channel.basic_ack(tag)
            self.assertEqual(self.take(channel, 40), ["checks"])

    def test_kinds_take_turns(self) -> None:
        with open_channel(str(self.folder), threads=self.THREADS) as channel:
            self.consume(channel, 8, "steps", "checks")
            self.assertEqual(self.take(channel, 4), ["steps", "checks", "steps", "checks"])

    def test_worker_of_one_kind_gives_it_all_threads(self) -> None:
        with open_channel(str(self.folder), threads=self.THREADS) as channel:
            self.consume(channel, 8, "checks")
            self.assertEqual(self.take(channel, 40), ["checks"] * 8)

    def test_worker_of_few_threads_has_one_for_each_kind(self) -> None:
        with open_channel(str(self.folder), threads=self.THREADS) as channel:
            self.consume(channel, 2, "steps", "checks")
            self.assertEqual(sorted(self.take(channel, 40)), ["checks", "steps"])
