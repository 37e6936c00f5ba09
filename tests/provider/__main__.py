"""Drives the payment twin with Stripe's official client: what the twin promises, it promises to a client we did not write.

Run by `make provider`; starts the twin's binary itself, on a free loopback port, and ends it.
"""

import json
import queue
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import Request, urlopen

import stripe

BINARY = Path(__file__).resolve().parents[2] / "target" / "debug" / "payment-twin"
SECRET = "whsec_provider"
DEADLINE_S = 20
CHARGE = {"amount": 1250, "currency": "eur", "confirm": True, "payment_method_types": ["card"]}

deliveries: "queue.Queue[tuple[bytes, str]]" = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    """Takes every webhook and keeps it as it came."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        deliveries.put((body, self.headers["stripe-signature"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


class Twin:
    """The twin with the official client in front of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        addresses = {"api": url}
        self.api = stripe.StripeClient("sk_test_provider", base_addresses=addresses, max_network_retries=0).v1
        self.refused = stripe.StripeClient("sk_live_x", base_addresses=addresses, max_network_retries=0).v1

    def post(self, path: str, body: object = None) -> None:
        data = json.dumps(body).encode() if body is not None else b""
        with urlopen(Request(self.url + path, data=data, method="POST"), timeout=DEADLINE_S):
            pass

    def charge(self, method: str = "pm_card_visa", key: str | None = None, **more: object) -> stripe.PaymentIntent:
        options = {"idempotency_key": key} if key else {}
        return self.api.payment_intents.create({**CHARGE, "payment_method": method, **more}, options)

    def refund(self, intent: stripe.PaymentIntent, **more: object) -> stripe.Refund:
        return self.api.refunds.create({"payment_intent": intent.id, **more})


def fails(kind: type[stripe.StripeError], act, status: int, code: str | None = None) -> stripe.StripeError:
    """The error that `act` must end in."""
    try:
        act()
    except stripe.StripeError as error:
        assert type(error) is kind and error.http_status == status, f"{error!r} {error.http_status}"
        assert code is None or error.code == code, f"{error.code} instead of {code}"
        return error
    raise AssertionError(f"no {kind.__name__}")


def an_approved_charge_is_retrieved_as_it_was_answered(twin: Twin) -> None:
    intent = twin.charge(metadata={"payment": "pay_1"})
    assert (intent.status, intent.amount_received) == ("succeeded", 1250)
    assert twin.api.payment_intents.retrieve(intent.id) == intent


def declines_carry_their_codes(twin: Twin) -> None:
    for method, code, reason in [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ]:
        error = fails(stripe.CardError, lambda: twin.charge(method), 402, code)
        assert error.error.decline_code == reason
        assert error.error.payment_intent.status == "requires_payment_method"


def an_absent_payer_is_declined_and_a_present_one_asked(twin: Twin) -> None:
    method = "pm_card_authenticationRequired"
    fails(stripe.CardError, lambda: twin.charge(method, off_session=True), 402, "authentication_required")
    for outcome, status in [("success", "succeeded"), ("failure", "requires_payment_method")]:
        intent = twin.charge(method)
        assert intent.status == "requires_action" and intent.next_action.type == "use_stripe_sdk"
        twin.post(f"/_twin/authenticate/{intent.id}/{outcome}")
        assert twin.api.payment_intents.retrieve(intent.id).status == status


def reserved_money_is_captured_within_bounds_or_released(twin: Twin) -> None:
    intents = twin.api.payment_intents
    intent = twin.charge(capture_method="manual")
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 1250)
    invalid = stripe.InvalidRequestError
    fails(invalid, lambda: intents.capture(intent.id, {"amount_to_capture": 1251}), 400, "amount_too_large")
    assert intents.capture(intent.id, {"amount_to_capture": 900}).amount_received == 900
    fails(invalid, lambda: intents.capture(intent.id), 400, "payment_intent_unexpected_state")
    fails(invalid, lambda: intents.cancel(intent.id), 400, "payment_intent_unexpected_state")
    fails(invalid, lambda: twin.refund(intent, amount=901), 400)
    released = twin.charge(capture_method="manual")
    canceled = intents.cancel(released.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")


def refunds_never_exceed_the_charge_and_are_listed(twin: Twin) -> None:
    intent = twin.charge()
    first = twin.refund(intent, amount=500, metadata={"payment": "pay_2"})
    fails(stripe.InvalidRequestError, lambda: twin.refund(intent, amount=751), 400)
    rest = twin.refund(intent)
    assert rest.amount == 750
    fails(stripe.InvalidRequestError, lambda: twin.refund(intent), 400, "charge_already_refunded")
    listed = twin.api.refunds.list({"payment_intent": intent.id})
    assert [refund.id for refund in listed.data] == [rest.id, first.id]
    assert twin.api.refunds.retrieve(first.id).metadata["payment"] == "pay_2"


def a_charge_is_found_by_its_metadata(twin: Twin) -> None:
    intent = twin.charge(metadata={"payment": "pay_sought"})
    found = twin.api.payment_intents.search({"query": "metadata['payment']:'pay_sought'"})
    assert [one.id for one in found.data] == [intent.id]


def the_balance_has_fees_and_adds_up(twin: Twin) -> None:
    refund = twin.refund(twin.charge(), amount=300)
    listed = twin.api.balance_transactions.list({"limit": 2, "expand": ["data.source"]})
    assert [(one.type, one.amount, one.fee, one.net) for one in listed.data] == [
        ("refund", -300, 0, -300),
        ("charge", 1250, 44, 1206),
    ]
    assert listed.data[0].id == refund.balance_transaction and listed.data[0].source.id == refund.id
    every = list(twin.api.balance_transactions.list({"limit": 3}).auto_paging_iter())
    assert len({one.id for one in every}) == len(every) > 3


def a_key_repeats_its_answer_also_an_error_and_serves_one_request(twin: Twin) -> None:
    intent = twin.charge(key="k1")
    again = twin.charge(key="k1")
    assert again.id == intent.id and again.last_response.headers["idempotent-replayed"] == "true"
    fails(stripe.IdempotencyError, lambda: twin.charge(key="k1", amount=1300), 400)
    declined = [
        fails(stripe.CardError, lambda: twin.charge("pm_card_visa_chargeDeclined", "k2"), 402).error.charge
        for _ in range(2)
    ]
    assert declined[0] == declined[1]
    twin.post("/_twin/faults", {"fault": "execute_then_500"})
    for _ in range(2):
        fails(stripe.APIError, lambda: twin.charge(key="k3"), 500)


def a_key_in_flight_conflicts(twin: Twin) -> None:
    def outcome(_: int) -> object:
        try:
            return twin.charge(key="k4").id
        except stripe.StripeError as error:
            return error.http_status

    # Whichever comes first meets the fault; the others come while it waits, or find its answer.
    twin.post("/_twin/faults", {"fault": "slow", "ms": 1000})
    with ThreadPoolExecutor(4) as pool:
        outcomes = set(pool.map(outcome, range(4)))
    assert 409 in outcomes and len(outcomes) == 2, outcomes


def lost_calls_and_lost_answers_look_alike(twin: Twin) -> None:
    for fault in ["drop_before", "execute_then_drop_reply"]:
        twin.post("/_twin/faults", {"fault": fault})
        try:
            twin.charge(key=fault)
            raise AssertionError("an answer")
        except stripe.APIConnectionError:
            pass
        assert twin.charge(key=fault).status == "succeeded"
    twin.post("/_twin/faults", {"fault": "429"})
    fails(stripe.RateLimitError, lambda: twin.charge(key="k5"), 429)


def what_makes_no_sense_is_refused(twin: Twin) -> None:
    invalid = stripe.InvalidRequestError
    fails(invalid, lambda: twin.charge(amount=49), 400, "amount_too_small")
    fails(invalid, lambda: twin.charge("pm_absent"), 400, "resource_missing")
    fails(invalid, lambda: twin.charge(currency="zzz"), 400)
    fails(invalid, lambda: twin.api.payment_intents.retrieve("pi_absent"), 404, "resource_missing")
    fails(stripe.AuthenticationError, lambda: twin.refused.payment_intents.retrieve("pi_absent"), 401)


def webhooks_verify_and_a_changed_one_does_not(twin: Twin) -> None:
    intent = twin.charge()
    kinds = []
    while "payment_intent.succeeded" not in kinds:
        body, signature = deliveries.get(timeout=DEADLINE_S)
        event = stripe.Webhook.construct_event(body, signature, SECRET)
        if event.data.object["id"] == intent.id:
            kinds.append(event.type)
            try:
                stripe.Webhook.construct_event(body.replace(b"1250", b"9950"), signature, SECRET)
                raise AssertionError("a changed body verifies")
            except stripe.SignatureVerificationError:
                pass
    assert kinds == ["payment_intent.created", "payment_intent.succeeded"]


CHECKS = [
    an_approved_charge_is_retrieved_as_it_was_answered,
    declines_carry_their_codes,
    an_absent_payer_is_declined_and_a_present_one_asked,
    reserved_money_is_captured_within_bounds_or_released,
    refunds_never_exceed_the_charge_and_are_listed,
    a_charge_is_found_by_its_metadata,
    the_balance_has_fees_and_adds_up,
    a_key_repeats_its_answer_also_an_error_and_serves_one_request,
    a_key_in_flight_conflicts,
    lost_calls_and_lost_answers_look_alike,
    what_makes_no_sense_is_refused,
    webhooks_verify_and_a_changed_one_does_not,
]


def main() -> None:
    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    hook = f"http://127.0.0.1:{receiver.server_address[1]}/"
    command = [BINARY, "--port", "0", "--webhook-url", hook, "--webhook-secret", SECRET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            # "payment twin on http://127.0.0.1:… (books: …)"
            twin = Twin(process.stdout.readline().split()[3])
            for check in CHECKS:
                check(twin)
                print(f"ok  {check.__name__.replace('_', ' ')}")
        finally:
            process.terminate()
    print(f"provider: {len(CHECKS)} checks with stripe {stripe.VERSION} passed")


if __name__ == "__main__":
    sys.exit(main())
