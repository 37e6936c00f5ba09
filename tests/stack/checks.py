"""What must be true after the demo: every kind of source fired its functions, and nothing was refused or given up on."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import samples
import template as cfn
from deployment import STAGE, Deployment
from emulator import Emulator

# Events of the demo's life of one reservation; they prove stream → publish-events → bus.
EVENTS_EXPECTED = {
    "reservation.held.v1",
    "payment.requested.v1",
    "payment.processed.v1",
    "reservation.confirmed.v1",
    "parking.entry.v1",
    "parking.exit.v1",
    "reservation.completed.v1",
}
# What the demo's cancellation puts into the books.
CAUSES_EXPECTED = {"charge", "cancellation", "refund"}
# A schedule of one minute fires within the next one; the emulator looks every ten seconds.
SCHEDULE_S_MAX = 90
DELIVERY_S_MAX = 30
COLD_START = re.compile(rf"environment spawned for parkade-{STAGE}-([a-z-]+) \(cold start\)")
FAILURE = re.compile(r'"level":"ERROR"|"errorType"|panicked at|Task timed out|execution error')


class Witness:
    """A queue that a rule fills with every event of our bus."""

    def __init__(self, emulator: Emulator, deployment: Deployment) -> None:
        self._sqs = emulator.client("sqs")
        self._url = self._sqs.create_queue(QueueName="witness")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                }
            ],
        }
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": json.dumps(allow)})
        events = emulator.client("events")
        bus = deployment.outputs["BusName"]
        events.put_rule(Name="witness", EventBusName=bus, EventPattern=json.dumps({"source": ["parkade"]}))
        events.put_targets(Rule="witness", EventBusName=bus, Targets=[{"Id": "witness", "Arn": arn}])
        self.seen: dict[str, int] = {}

    def drain(self) -> dict[str, int]:
        """Counts by detail-type of everything seen so far."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                kind = json.loads(message["Body"])["detail-type"]
                self.seen[kind] = self.seen.get(kind, 0) + 1
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return self.seen


def within(seconds: float, what: str, true: Callable[[], bool]) -> None:
    """Waits for a value with a deadline; a check never sleeps for a fixed time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.25)


class Checks:
    """The checks; each public method is one, and its docstring is what it proves."""

    def __init__(self, emulator: Emulator, deployment: Deployment, witness: Witness, twin_url: str) -> None:
        self._emulator = emulator
        self._deployment = deployment
        self._witness = witness
        self._twin_url = twin_url

    def stream_and_bus(self) -> None:
        """The Records stream fired publish-events, and the bus carried the whole life of a reservation."""
        try:
            within(DELIVERY_S_MAX, "events", lambda: EVENTS_EXPECTED <= set(self._witness.drain()))
        except AssertionError as error:
            missing = sorted(EVENTS_EXPECTED - set(self._witness.seen))
            raise AssertionError(f"{error}; missing {missing}, seen {self._witness.seen}") from None

    def queue_and_payment(self) -> None:
        """The payments queue fired on-payment-requested, which charged at the twin."""
        within(DELIVERY_S_MAX, "on-payment-requested", lambda: "on-payment-requested" in self._started())
        with urllib.request.urlopen(f"{self._twin_url}/_twin/books", timeout=5) as answer:
            books = json.load(answer)
        assert books["totals"], f"no money moved at the twin: {books}"

    def queue_and_notifications(self) -> None:
        """The notifications queue fired notify."""
        within(DELIVERY_S_MAX, "notify", lambda: "notify" in self._started())

    def stream_to_occupancy(self) -> None:
        """The Calendar stream fired occupancy, which wrote its counts."""
        within(DELIVERY_S_MAX, "occupancy items", lambda: bool(self._derived("OCC#")))

    def stream_to_books(self) -> None:
        """The Records stream fired seal-ledger, which sealed the demo's charge, cancellation and refund."""
        within(DELIVERY_S_MAX, "sealed entries", lambda: CAUSES_EXPECTED <= self._sealed_causes())

    def schedules(self) -> None:
        """Every schedule of a minute fired its function, and each sweep noted how far it came."""
        schedules = cfn.events(self._deployment.template, "ScheduleV2")
        # Nobody waits an hour for reconciliation; its sample fires it.
        names = {self._name(of) for of, event in schedules if event["ScheduleExpression"] == "rate(1 minute)"}
        within(SCHEDULE_S_MAX, f"{sorted(names)}", lambda: names <= self._started())
        within(DELIVERY_S_MAX, "one watermark per sweep", lambda: len(self._derived("SWEEP#")) == len(names))

    def samples(self) -> None:
        """Every payload in events/ is understood by its function."""
        samples.invoke_all(self._emulator)

    def nothing_failed(self) -> None:
        """No function panicked, timed out or logged an error."""
        wrong = [line for line in self._log_lines() if FAILURE.search(line)]
        assert not wrong, "failures in the logs:\n" + "\n".join(wrong[:10])

    def nothing_refused(self) -> None:
        """No function called what its policy does not allow."""
        refused = [line for line in self._log_lines() if "AccessDenied" in line or "not authorized to perform" in line]
        assert not refused, "refused calls:\n" + "\n".join(refused[:10])

    def nothing_given_up(self) -> None:
        """Every dead-letter queue is empty."""
        sqs = self._emulator.client("sqs")
        for logical_id, url in self._deployment.physical.items():
            if logical_id.endswith("DeadLetters"):
                attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
                waiting = int(attributes["ApproximateNumberOfMessages"])
                assert waiting == 0, f"{logical_id} holds {waiting} messages"

    def _name(self, logical_id: str) -> str:
        return self._deployment.physical[logical_id].removeprefix(f"parkade-{STAGE}-")

    def _started(self) -> set[str]:
        """The functions of which the emulator has started a process: it does so for the first invocation."""
        return set(COLD_START.findall(self._emulator.log.read_text(errors="replace")))

    def _derived(self, prefix: str) -> list[dict[str, Any]]:
        table = self._deployment.outputs["DerivedTable"]
        items = self._emulator.client("dynamodb").scan(TableName=table)["Items"]
        return [item for item in items if item["pk"]["S"].startswith(prefix)]

    def _sealed_causes(self) -> set[str]:
        items = self._emulator.client("dynamodb").scan(TableName=self._deployment.outputs["LedgerTable"])["Items"]
        return {item["ca"]["S"] for item in items if item["sk"]["S"].startswith("E#")}

    def _log_lines(self) -> list[str]:
        """What the emulator and the functions logged."""
        pages = self._emulator.client("logs").get_paginator("filter_log_events")
        group = self._deployment.physical["FunctionLogs"]
        functions = [event["message"] for page in pages.paginate(logGroupName=group) for event in page["events"]]
        return self._emulator.log.read_text(errors="replace").splitlines() + functions


ALL: list[Callable[[Checks], None]] = [
    Checks.stream_and_bus,
    Checks.queue_and_payment,
    Checks.queue_and_notifications,
    Checks.stream_to_occupancy,
    Checks.stream_to_books,
    Checks.schedules,
    # After the schedules, because the samples of the sweeps would look like them.
    Checks.samples,
    Checks.nothing_failed,
    Checks.nothing_refused,
    Checks.nothing_given_up,
]
