"""The product as the Procfile starts it, in a folder and on a port of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.campaign.processes import Process
from tests.serving import free_port

ROOT = Path(__file__).resolve().parents[2]
_READY = {"web": b"Booting worker", "worker": b" ready.\n", "beat": b"beat: Starting"}


@dataclass(frozen=True)
class Site:
    """Running processes; everything they write is below `folder`, their temporary files in `system_temporary`."""

    folder: Path
    port: int
    environment: dict[str, str]
    processes: dict[str, Process]

    @property
    def url(self) -> str:
        """Return where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def system_temporary(self) -> Path:
        """Return the folder that stands for the system's temporary files."""
        return self.folder / "system-tmp"

    def manage(self, *arguments: str) -> str:
        """Run manage.py and return what it says."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def running_site(setup: str, *names: str, **environment: str) -> Iterator[tuple[Site, str]]:
    """Start the named processes of the Procfile after a set-up in Python; gives the site and what the set-up said."""
    with tempfile.TemporaryDirectory(prefix="amchelper-load-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "system-tmp").mkdir()
        site = Site(folder, free_port(), {**_environment(folder), **environment}, {})
        site.manage("migrate", "--verbosity", "0")
        said = site.manage("shell", "--verbosity", "0", "-c", setup)
        for process_name in names:
            command = _command(process_name, site.port)
            log = folder / f"{process_name}.log"
            process = Process(process_name, command, log, ready=_READY[process_name], environment=site.environment)
            stack.callback(process.stop)
            process.start()
            site.processes[process_name] = process
        for process in site.processes.values():
            process.wait_until_ready()
        yield site, said


def _environment(folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.endswith("_URL")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DJANGO_SETTINGS_MODULE": "amchelper.settings",
        "READ_DOT_ENV": "false",
        "DEBUG": "true",
        "SECRET_KEY": "load-tests-only-" + "x" * 40,
        "FERNET_KEYS": "ZGVtby10ZXN0cy1vbmx5LTMyLWJ5dGVzLWxvbmcuLi4=",
        "AMAZON_CLIENT_ID": "amzn1.application-oa2-client.local",
        "AMAZON_CLIENT_SECRET": "local-secret",
        "VAR_DIR": str(folder / "var"),
        "TMPDIR": str(folder / "system-tmp"),
        "PYTHONUNBUFFERED": "1",
    }


def _command(name: str, port: int) -> tuple[str, ...]:
    """Return the Procfile's command on another port, and talkative enough to say when it is ready."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    line = next(line.partition(": ")[2] for line in lines if line.startswith(f"{name}:"))
    said = (
        line.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("warning", "info").replace("WARNING", "INFO")
    )
    return tuple(shlex.split(said))
