"""`make stack`: deploy the real template.yaml to a local AWS emulator, play the demo through its HTTP API, and check that
schedules, streams, the bus and the queue fired the functions. Ends everything it started."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import checks
import template as cfn
from deployment import STAGE, WEBHOOK_SECRET, Deployment, deploy
from emulator import REGION, Emulator, emulator, free_port, running, wait_until_it_answers

LOGS = cfn.ROOT / "target" / "stack-logs"
DEMO_S_MAX = 240
DLQ_S_MAX = 60
LOG_LINES_SHOWN = 60


def _binary(name: str) -> str:
    """A program of the last `cargo build`, wherever CARGO_BUILD_TARGET put it."""
    target = cfn.ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    triple = os.environ.get("CARGO_BUILD_TARGET", "")
    path = target / triple / "debug" / name
    if not path.is_file():
        raise RuntimeError(f"{path} is missing; run `make stack`")
    return str(path)


def say(text: str) -> None:
    print(text, flush=True)


def tell_webhooks(twin_url: str, deployment: Deployment) -> None:
    """From now on the twin sends its signed events to the deployed webhook, as Stripe does."""
    body = json.dumps({"url": f"{deployment.url}/v1/webhooks/stripe", "secret": WEBHOOK_SECRET}).encode()
    with urllib.request.urlopen(f"{twin_url}/_twin/webhook", data=body, timeout=5):
        pass


def play_the_demo(deployment: Deployment, twin_url: str) -> None:
    """The demo as users run it, against the deployed API."""
    command = [_binary("parkade"), "demo", "--url", deployment.url, "--twin", twin_url]
    say(f"stack: {' '.join(command[1:])}")
    result = subprocess.run(command, timeout=DEMO_S_MAX, check=False)
    if result.returncode != 0:
        raise AssertionError(f"the demo ended with {result.returncode}")


def list_dead_letters(stack: Emulator) -> None:
    """The command that looks after dead letters finds the stage's queues, and nothing in them."""
    environment = os.environ | {
        "AWS_ENDPOINT_URL": stack.url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    command = [_binary("parkade"), "dlq", "list", "--stage", STAGE]
    result = subprocess.run(command, env=environment, timeout=DLQ_S_MAX, capture_output=True, text=True, check=False)
    listed = result.stdout + result.stderr
    assert result.returncode == 0 and "Nothing was given up." in listed, listed
    assert f"parkade-{STAGE}-payments-dead-letters" in listed, listed


def show_logs(stack: Emulator | None, deployment: Deployment | None) -> None:
    """What a person needs to find the cause: the functions' last lines, then the emulator's."""
    if stack and deployment:
        pages = stack.client("logs").get_paginator("filter_log_events")
        lines = []
        for page in pages.paginate(logGroupName=deployment.physical["FunctionLogs"]):
            lines += [e["message"] for e in page["events"] if not e["message"].startswith(("START", "END", "REPORT"))]
        say(f"--- functions, last {LOG_LINES_SHOWN} lines")
        say("\n".join(lines[-LOG_LINES_SHOWN:]))
    for log in sorted(LOGS.glob("*.log")):
        say(f"--- {log.relative_to(cfn.ROOT)}, last {LOG_LINES_SHOWN} lines")
        say("\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]))


def run() -> int:
    """Returns how many checks failed."""
    began = time.monotonic()
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    twin_port = free_port()
    twin_url = f"http://127.0.0.1:{twin_port}"
    passed, failed = 0, 0
    stack: Emulator | None = None
    deployment: Deployment | None = None
    with (
        running([_binary("payment-twin"), "--port", str(twin_port)], LOGS / "twin.log", {}) as twin,
        emulator(LOGS) as stack,
    ):
        try:
            wait_until_it_answers(f"{twin_url}/_twin/books", twin, "the payment twin")
            say(f"stack: emulator on {stack.url}, payment twin on {twin_url}")
            deployment = deploy(stack, twin_url)
            tell_webhooks(twin_url, deployment)
            say(f"stack: template.yaml deployed after {time.monotonic() - began:.1f} s, API on {deployment.url}")
            witness = checks.Witness(stack, deployment)
            play_the_demo(deployment, twin_url)
            facts = checks.Checks(stack, deployment, witness, twin_url)
            to_do = [(check, facts) for check in checks.ALL] + [(list_dead_letters, stack)]
            for check, subject in to_do:
                try:
                    check(subject)
                    passed += 1
                    say(f"ok      {check.__doc__}")
                except AssertionError as error:
                    failed += 1
                    say(f"FAILED  {check.__doc__}\n        {error}")
            say(f"stack: events seen {json.dumps(dict(sorted(witness.drain().items())))}")
        except Exception as error:  # whatever it was, its cause is in the logs, which end with the emulator
            failed += 1
            say(f"FAILED  {type(error).__name__}: {error}")
        if failed:
            show_logs(stack, deployment)
    say(f"stack: ran for {time.monotonic() - began:.0f} s on {platform.machine()}")
    say(f"stack: {passed} passed, {failed} failed")
    return failed


if __name__ == "__main__":
    # Ctrl-C and a cancelled CI job end the children too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(1 if run() else 0)
