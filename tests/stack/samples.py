"""Every payload in events/, invoked on the deployed functions: a sample that no longer fits its function fails here."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import template as cfn
from deployment import STAGE, WEBHOOK_SECRET
from emulator import Emulator

EVENTS = cfn.ROOT / "events"
# The samples' day, moved into the near future, where a lot can be booked.
SAMPLE_DAYS = ("2027-06-01", "2027-06-30")
DAYS_AHEAD = 14
# What the others refer to comes first.
FIRST = ["put-lot", "put-spots"]
# The request was understood: done, or refused because what it names is not there or not in that state. 402 is no answer of a
# sample, and 4xx of another kind says that the sample is wrong.
UNDERSTOOD = {200, 201, 202, 204, 404, 409}


def paths() -> list[Path]:
    """All samples, those that others need first."""
    found = sorted(EVENTS.glob("*/*.json"))
    order = {name: position for position, name in enumerate(FIRST)}
    return sorted(found, key=lambda path: order.get(path.parent.name, len(FIRST)))


def invoke_all(emulator: Emulator) -> None:
    """Raises AssertionError naming every sample that was not understood."""
    client = emulator.client("lambda")
    wrong: list[str] = []
    for path in paths():
        payload = _signed(_moved(path.read_text()))
        answer = client.invoke(
            FunctionName=f"parkade-{STAGE}-{path.parent.name}", Qualifier="live", Payload=payload
        )
        body = json.loads(answer["Payload"].read() or "null")
        if why := _wrong(answer, body):
            wrong.append(f"{path.relative_to(cfn.ROOT)}: {why}")
    assert not wrong, "samples that do not work:\n        " + "\n        ".join(wrong)


def _signed(payload: bytes) -> bytes:
    """A webhook of the payment provider, signed now: a signature is good for five minutes."""
    event = json.loads(payload)
    headers = event.get("headers", {}) if isinstance(event, dict) else {}
    if "stripe-signature" not in headers:
        return payload
    now = int(time.time())
    tag = hmac.new(WEBHOOK_SECRET.encode(), f"{now}.{event['body']}".encode(), hashlib.sha256).hexdigest()
    headers["stripe-signature"] = f"t={now},v1={tag}"
    return json.dumps(event).encode()


def _moved(text: str) -> bytes:
    first = date.today() + timedelta(days=DAYS_AHEAD)
    for day in SAMPLE_DAYS:
        moved = first + (date.fromisoformat(day) - date.fromisoformat(SAMPLE_DAYS[0]))
        text = text.replace(day, moved.isoformat())
    return text.encode()


def _wrong(answer: dict[str, Any], body: Any) -> str | None:
    if "FunctionError" in answer:
        return f"{answer['FunctionError']}: {json.dumps(body)}"
    if isinstance(body, dict) and "statusCode" in body and body["statusCode"] not in UNDERSTOOD:
        return f"{body['statusCode']} {body.get('body')}"
    return None
