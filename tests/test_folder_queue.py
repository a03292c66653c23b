"""The queue in a folder: whole messages, each to one worker, whatever else lies there."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from queue import Empty
from typing import Any

from django.test import SimpleTestCase
from kombu import Connection

from amchelper.folder_queue import use_folder_queue

WRITERS, READERS, MESSAGES = 3, 3, 300
# Each reader ends when it is told so; what it took is printed.
PROCESS = """
import sys, time
from queue import Empty
from tests.test_folder_queue import open_channel
role, number, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open_channel(folder) as channel:
    channel._queue_bind("work", "work", "", "work")
    if role == "writer":
        for n in range({messages}):
            channel._put("work", {{"n": number * 1_000_000 + n, "filling": "x" * 2000}})
    else:
        while True:
            try:
                message = channel._get("work")
            except Empty:
                time.sleep(0.001)
                continue
            if message["n"] < 0:
                break
            print(message["n"])
"""


class open_channel:  # noqa: N801  used like a function
    """A channel on a folder: `with open_channel(folder) as channel`."""

    def __init__(self, folder: str) -> None:
        use_folder_queue()
        places = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": f"{folder}/control"}
        self.connection = Connection("filesystem://localhost", transport_options=places)

    def __enter__(self) -> Any:
        return self.connection.channel()

    def __exit__(self, *failure: object) -> None:
        self.connection.close()


class FolderQueueTests(SimpleTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="amc-queue-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_messages_come_in_order_and_once(self) -> None:
        with open_channel(str(self.folder)) as channel:
            for n in range(5):
                channel._put("work", {"n": n})
            self.assertEqual(channel._size("work"), 5)
            self.assertEqual([channel._get("work")["n"] for _ in range(5)], sorted(range(5)))
            self.assertRaises(Empty, channel._get, "work")
        self.assertEqual([path for path in self.folder.iterdir() if path.is_file()], [])

    def test_file_that_is_not_whole_is_passed_over(self) -> None:
        (self.folder / "000000000000001_a.work.msg").write_text("")
        (self.folder / "000000000000002_b.work.msg").write_text('{"n": ')
        with open_channel(str(self.folder)) as channel:
            channel._put("work", {"n": 1})
            self.assertEqual(channel._get("work"), {"n": 1})
            self.assertRaises(Empty, channel._get, "work")

    def test_other_queues_are_left_alone(self) -> None:
        with open_channel(str(self.folder)) as channel:
            channel._put("other", {"n": 1})
            self.assertRaises(Empty, channel._get, "work")

    def test_many_processes_lose_and_double_nothing(self) -> None:
        script = PROCESS.format(messages=MESSAGES)
        run = [sys.executable, "-c", script]
        readers = [
            subprocess.Popen([*run, "reader", str(n), str(self.folder)], stdout=subprocess.PIPE)
            for n in range(READERS)
        ]
        writers = [subprocess.Popen([*run, "writer", str(n), str(self.folder)]) for n in range(WRITERS)]
        self.assertEqual([writer.wait(60) for writer in writers], [0] * WRITERS)
        with open_channel(str(self.folder)) as channel:
            for _ in readers:
                channel._put("work", {"n": -1})
        taken = [int(line) for reader in readers for line in reader.communicate(timeout=60)[0].split()]
        self.assertEqual([reader.returncode for reader in readers], [0] * READERS)
        expected = [writer * 1_000_000 + n for writer in range(WRITERS) for n in range(MESSAGES)]
        self.assertEqual(sorted(taken), expected)
