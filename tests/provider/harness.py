"""The servers under test, and the official client in front of each."""

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import stripe

SECRET = "whsec_provider"
DEADLINE_S = 20
CARD_ONLY = ["card"]
CHARGE = {"amount": 1250, "currency": "eur", "confirm": True, "payment_method_types": CARD_ONLY}


class Receiver:
    """Takes webhooks and keeps them as they came."""

    def __init__(self) -> None:
        deliveries: "queue.Queue[tuple[bytes, str]]" = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                deliveries.put((body, self.headers["stripe-signature"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.deliveries = deliveries
        self.url = f"http://127.0.0.1:{server.server_address[1]}/"

    def events(self, of: str) -> Iterator[tuple[stripe.Event, bytes, str]]:
        """Verified events about an object or what belongs to it, with what was delivered."""
        while True:
            body, signature = self.deliveries.get(timeout=DEADLINE_S)
            event = stripe.Webhook.construct_event(body, signature, SECRET)
            subject = event.data.object.to_dict()
            if of in (subject["id"], subject.get("payment_intent")):
                yield event, body, signature

    def kinds_until(self, of: str, last: str) -> list[str]:
        kinds = []
        for event, _, _ in self.events(of):
            kinds.append(event.type)
            if event.type == last:
                return kinds
        raise AssertionError("unreachable")


class Server:
    """A server that speaks Stripe's protocol, and the official client in front of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.api = self.client("sk_test_provider")

    def client(self, key: str) -> stripe.StripeClient:
        return stripe.StripeClient(key, base_addresses={"api": self.url}, max_network_retries=0).v1

    def post(self, path: str, body: object = None) -> object:
        data = json.dumps(body).encode() if body is not None else b""
        headers = {"content-type": "application/json"}
        with urlopen(Request(self.url + path, data=data, headers=headers, method="POST"), timeout=DEADLINE_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def charge(self, method: str = "pm_card_visa", key: str | None = None, **more: object) -> stripe.PaymentIntent:
        options = {"idempotency_key": key} if key else {}
        return self.api.payment_intents.create({**CHARGE, "payment_method": method, **more}, options)

    def refund(self, intent: stripe.PaymentIntent, **more: object) -> stripe.Refund:
        return self.api.refunds.create({"payment_intent": intent.id, **more})


@contextmanager
def running(command: list[object], address: Callable[[str], str], **options: object) -> Iterator[Server]:
    """A server while it runs; the first line it prints says where it is."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            line = process.stdout.readline()
            assert line, f"{Path(str(command[0])).name} does not start"
            yield Server(address(line))
        finally:
            process.terminate()


def fails(
    kind: type[stripe.StripeError], act: Callable[[], object], status: int, code: str | None = None
) -> stripe.StripeError:
    """The error that `act` must end in."""
    try:
        act()
    except stripe.StripeError as error:
        assert type(error) is kind and error.http_status == status, f"{error!r} {error.http_status}"
        assert code is None or error.code == code, f"{error.code} instead of {code}"
        return error
    raise AssertionError(f"no {kind.__name__}")
