"""The AWS emulator (ministack) as a child process on a free loopback port, with nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
from botocore.config import Config

REGION = "eu-central-1"
START_S_MAX = 60
STOP_S_MAX = 10


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], what: str) -> None:
    """Returns as soon as `url` answers anything; raises when the process ends or the time is up."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with {process.returncode} before it answered")
        try:
            urllib.request.urlopen(url, timeout=2)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{what} did not answer on {url} within {START_S_MAX} s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its whole group: the emulator's functions are its children and may outlive it."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S_MAX)
    process.wait()


@contextlib.contextmanager
def running(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child process in a group of its own, its output in a file, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


class Emulator:
    """Where the emulator answers, and clients for it."""

    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log

    def client(self, service: str) -> boto3.session.Session:
        """A client as the account's root; the functions themselves sign with their own roles."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
        )


@contextlib.contextmanager
def emulator(logs: Path) -> Iterator[Emulator]:
    """Starts ministack and waits until it answers; ends it and all its functions afterwards."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="parkade-stack-") as scratch:
        environment = {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint,
            # Policies decide, as on AWS: a function that touches what its entry in the template does not list is refused.
            "AUTH": "true",
            "LAMBDA_EXECUTOR": "local",
            "TMPDIR": scratch,
            # Its own start-up line about a home folder and a container engine is of no use here.
            "DOCKER_HOST": f"unix://{scratch}/none.sock",
        }
        command = [str(Path(sys.executable).with_name("ministack"))]
        with running(command, logs / "emulator.log", environment) as process:
            wait_until_it_answers(f"{endpoint}/_ministack/health", process, "ministack")
            yield Emulator(port, logs / "emulator.log")
