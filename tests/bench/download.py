"""Peak memory while a large result in several parts is downloaded through the client.

1 GB of CSV in five parts, made on the fly by a server in a process of its own that plays AMC's download links and
the storage behind them; the download runs in a process of its own too.
Run: `.venv/bin/python tests/bench/download.py`.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

PARTS, PART_MB, TARGET_MB = 5, 200, 150
MEGABYTE = 1_000_000
HEADER = b"campaign,day,impressions,note\n"
# One megabyte of rows, quotes and line breaks in fields among them.
_ROW = b'"Spring, ""new"" line\nand more",2026-10-01,%019d,padding-padding-padding\n'
_BLOCK = b"".join(_ROW % number for number in range(MEGABYTE // len(_ROW % 0)))
BLOCKS_PER_PART = PART_MB * MEGABYTE // len(_BLOCK)


def serve() -> None:
    """Answer link and part requests until the process ends; prints the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    print(port, flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, port), daemon=True).start()


def answer(connection: socket.socket, port: int) -> None:
    """Answer one connection's requests."""
    with connection, connection.makefile("rb") as requests:
        while line := requests.readline():
            while requests.readline() not in (b"\r\n", b""):
                pass
            path = line.split()[1].decode()
            if path.startswith("/results/"):
                send_part(connection)
                continue
            links = [f"http://127.0.0.1:{port}/results/{n}.csv?X-Amz-Signature=s" for n in range(PARTS)]
            body = json.dumps({"downloadUrls": links, "nextToken": None}).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def send_part(connection: socket.socket) -> None:
    """Send one part, a block at a time."""
    length = len(HEADER) + BLOCKS_PER_PART * len(_BLOCK)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (length, HEADER))
    for _ in range(BLOCKS_PER_PART):
        connection.sendall(_BLOCK)


def download(url: str) -> None:
    """Download through the client; prints bytes, seconds and the peak of this process as JSON."""
    from instances.amc.auth import LoginClient, Tokens, TokenSource
    from instances.amc.client import BACKGROUND, AmcClient
    from instances.amc.hosts import hosts_for
    from instances.amc.types import AccountRef, InstanceRef

    hosts = hosts_for("NA", url)
    login = LoginClient(hosts, "bench", "bench", local_url=url)
    tokens = Tokens("Atza|bench", "Atzr|bench", datetime.now(UTC) + timedelta(hours=1))
    instance = InstanceRef("amcbench0001", AccountRef("ENTITYBENCH", "ATVPDKIKX0DER"))
    source = TokenSource(login, "Atzr|bench", tokens)
    client = AmcClient(hosts, "bench", source, local_url=url, policy=BACKGROUND)
    began = time.perf_counter()
    with client, tempfile.TemporaryFile() as file:
        result = client.download_result(instance, "bench", file)
        size = os.fstat(file.fileno()).st_size
    if result.parts != PARTS or size != result.bytes:
        raise SystemExit("The benchmark is void: the result is not complete.")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = time.perf_counter() - began
    print(json.dumps({"bytes": size, "seconds": seconds, "peak": peak}))


def main() -> int:
    """Print the figures; the exit code tells whether the target was met."""
    program = [sys.executable, str(Path(__file__).resolve())]
    # The figure is kept over exec, so a large parent would be counted; this one has loaded nothing.
    with subprocess.Popen([*program, "serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            done = subprocess.run(
                [*program, "download", url], stdout=subprocess.PIPE, text=True, check=True, timeout=600
            )
        finally:
            server.terminate()
    figures = json.loads(done.stdout)
    expected = len(HEADER) + PARTS * BLOCKS_PER_PART * len(_BLOCK)
    if figures["bytes"] != expected:
        raise SystemExit("The benchmark is void: the result is not what was sent.")
    peak_mb = figures["peak"] / MEGABYTE
    speed = figures["bytes"] / MEGABYTE / figures["seconds"]
    print(f"download: {figures['bytes'] / MEGABYTE:.0f} MB in {PARTS} parts, {speed:.0f} MB/s")
    print(f"download: peak memory = {peak_mb:.0f} MB (target < {TARGET_MB})")
    return int(peak_mb >= TARGET_MB)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["download"]:
        download(sys.argv[2])
    else:
        raise SystemExit(main())
