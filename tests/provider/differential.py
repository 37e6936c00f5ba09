"""The twin and two fakes that others wrote, side by side: what each answers to the same steps, where the other one is right.

localstripe knows PaymentIntents, 3-D Secure and webhooks, but no idempotency keys, bounds on refunds or reasons of declines;
stripe-stateful-mock knows those, but only charges. What is wrong in either is left out here, so no line of this is a compromise.
"""

import time
from collections.abc import Callable

import stripe
from harness import CARD_ONLY, SECRET, Receiver, Server

Outcome = tuple[object, ...]
# Card numbers of Stripe's testing guide: localstripe knows the cards by these.
NUMBERS = {
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_threeDSecure2Required": "4000000000003220",
}
# The smallest charge in each currency, where stripe-stateful-mock has what Stripe documents.
MINIMUMS = {
    "aud": 50, "brl": 50, "cad": 50, "chf": 50, "dkk": 250, "eur": 50, "hkd": 400, "jpy": 50, "nok": 300, "nzd": 50, "sek": 300,
    "sgd": 50, "usd": 50,
}  # fmt: skip
DECLINES = [
    "chargeDeclined",
    "chargeDeclinedInsufficientFunds",
    "chargeDeclinedFraudulent",
    "chargeDeclinedIncorrectCvc",
    "chargeDeclinedExpiredCard",
    "chargeDeclinedProcessingError",
]


def refusal(act: Callable[[], object]) -> Outcome:
    """How a call is refused: its status, and what the client makes of it."""
    try:
        return ("done", getattr(act(), "status", None))
    except stripe.StripeError as error:
        return (error.http_status, type(error).__name__)


class Intents:
    """PaymentIntents at one of the two."""

    def __init__(self, server: Server, is_twin: bool) -> None:
        self.server, self.is_twin = server, is_twin
        self.api = server.api.payment_intents

    def method(self, name: str) -> str:
        if self.is_twin or name not in NUMBERS:
            return name
        card = {"number": NUMBERS[name], "exp_month": 12, "exp_year": 2034, "cvc": "123"}
        return self.server.api.payment_methods.create({"type": "card", "card": card}).id

    def create(self, method: str | None = None, **more: object) -> stripe.PaymentIntent:
        named = {"payment_method": self.method(method)} if method else {}
        asked = {"amount": 1500, "currency": "eur", "payment_method_types": CARD_ONLY, **named, **more}
        return self.api.create(asked)

    def authenticate(self, intent: stripe.PaymentIntent, success: bool) -> None:
        if self.is_twin:
            self.server.post(f"/_twin/authenticate/{intent.id}/{'success' if success else 'failure'}")
        else:
            body = {"client_secret": intent.client_secret, "success": success, "key": "pk_test_provider"}
            self.server.post(f"/v1/payment_intents/{intent.id}/_authenticate", body)

    def status(self, intent: stripe.PaymentIntent) -> str:
        return self.api.retrieve(intent.id).status


def created_and_confirmed(side: Intents) -> list[Outcome]:
    empty, ready, paid = side.create(), side.create("pm_card_visa"), side.create("pm_card_visa", confirm=True)
    return [
        (empty.status, ready.status, paid.status),
        (paid.amount, paid.currency, paid.capture_method, paid.object, paid.next_action),
        refusal(lambda: side.api.confirm(ready.id)),
        refusal(lambda: side.api.confirm(ready.id)),
        refusal(lambda: side.api.cancel(empty.id)),
        refusal(lambda: side.api.cancel(paid.id)),
        refusal(lambda: side.api.retrieve("pi_absent"))[:1],
        refusal(lambda: side.create(amount=0)),
        refusal(lambda: side.create(capture_method="later")),
        refusal(lambda: side.create(surprise="1")),
    ]


def reserved_and_captured(side: Intents) -> list[Outcome]:
    def reserved() -> stripe.PaymentIntent:
        return side.create("pm_card_visa", confirm=True, capture_method="manual")

    part, whole, released, greedy = (reserved() for _ in range(4))
    return [
        (part.status,),
        refusal(lambda: side.api.capture(part.id, {"amount_to_capture": 900})),
        refusal(lambda: side.api.capture(part.id, {"amount_to_capture": 600})),
        refusal(lambda: side.api.capture(whole.id)),
        refusal(lambda: side.api.capture(greedy.id, {"amount_to_capture": 1501})),
        (side.status(greedy),),
        refusal(lambda: side.api.cancel(released.id)),
        (side.status(released),),
        refusal(lambda: side.api.cancel(released.id)),
        refusal(lambda: side.api.cancel(part.id)),
    ]


def declined(side: Intents) -> list[Outcome]:
    def code(act: Callable[[], object]) -> Outcome:
        try:
            act()
        except stripe.CardError as error:
            return (error.http_status, error.code)
        return ()

    # The only card that localstripe declines when it is charged.
    card = "pm_card_chargeCustomerFail"
    ready = side.create(card)
    answered = code(lambda: side.api.confirm(ready.id))
    after = side.api.retrieve(ready.id).to_dict()
    charge = after["latest_charge"]
    return [
        answered,
        (after["status"], after["last_payment_error"]["code"]),
        ((charge if side.is_twin else charge["id"]) == after["last_payment_error"]["charge"],),
        code(lambda: side.create(card, confirm=True)),
    ]


def authenticated(side: Intents) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for method in NUMBERS:
        for success, capture in [(True, "automatic"), (True, "manual"), (False, "automatic")]:
            intent = side.create(method, confirm=True, capture_method=capture)
            outcomes.append((intent.status, intent.next_action.type))
            side.authenticate(intent, success)
            after = side.api.retrieve(intent.id).to_dict()
            error = after["last_payment_error"] or {}
            outcomes.append((after["status"], after["next_action"], error.get("code")))
    return outcomes


def owned(side: Intents) -> list[Outcome]:
    api = side.server.api
    customer = api.customers.create({"metadata": {"user": "u1"}})
    method = api.payment_methods.attach("pm_card_visa", {"customer": customer.id})

    def list_() -> list[str]:
        return [one.card.last4 for one in api.payment_methods.list({"customer": customer.id, "type": "card"}).data]

    setup = api.setup_intents.create({"customer": customer.id, "usage": "off_session", "payment_method_types": CARD_ONLY})
    return [
        (customer.object, customer.metadata["user"], method.customer == customer.id, list_()),
        (side.create(method.id, customer=customer.id, confirm=True, off_session=True).status,),
        refusal(lambda: api.payment_methods.detach(method.id)),
        (list_(),),
        (setup.status, setup.usage, setup.customer == customer.id),
        (api.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa"}).status,),
        refusal(lambda: api.customers.retrieve("cus_absent"))[:1],
    ]


def told(side: Intents, receiver: Receiver) -> list[Outcome]:
    """The events that both send of one charge that succeeds and one that fails; each verifies, and not once it is changed."""
    outcomes: list[Outcome] = []
    for method, last in [("pm_card_visa", "succeeded"), ("pm_card_chargeCustomerFail", "payment_failed")]:
        intent = side.create(method)
        refusal(lambda: side.api.confirm(intent.id))
        for event, body, signature in receiver.events(intent.id):
            if event.type != f"payment_intent.{last}":
                continue
            for changed, secret in [(body + b" ", SECRET), (body, "whsec_other")]:
                try:
                    stripe.Webhook.construct_event(changed, signature, secret)
                    raise AssertionError("a changed delivery verifies")
                except stripe.SignatureVerificationError:
                    pass
            age_s = time.time() - int(signature.split(",")[0].removeprefix("t="))
            subject = event.data.object
            outcomes.append((event.object, event.type, subject.id == intent.id, subject.status, -5 < age_s < 60))
            break
    return outcomes


def with_localstripe(twin: Server, other: Server, receivers: tuple[Receiver, Receiver]) -> int:
    other.post("/_config/webhooks/provider", {"url": receivers[1].url, "secret": SECRET})
    ours, theirs = Intents(twin, True), Intents(other, False)
    scripts = [created_and_confirmed, reserved_and_captured, declined, authenticated, owned]
    compared = sum(same(script.__name__, script(ours), script(theirs)) for script in scripts)
    return compared + same("told", told(ours, receivers[0]), told(theirs, receivers[1]))


class Charges:
    """What both call a charge, behind a PaymentIntent at the twin."""

    def __init__(self, server: Server, is_twin: bool) -> None:
        self.server, self.is_twin = server, is_twin

    def charge(self, card: str, key: str | None = None, **more: object) -> stripe.StripeObject:
        options = {"idempotency_key": key} if key else {}
        asked = {"amount": 1500, "currency": "eur", **more}
        if not self.is_twin:
            return self.server.api.charges.create({**asked, "source": f"tok_{card}"}, options)
        visa = card in DECLINES[:2]
        named = {"payment_method": f"pm_card_{'visa_' if visa else ''}{card}", "payment_method_types": CARD_ONLY}
        return self.server.api.payment_intents.create({**asked, **named, "confirm": True}, options)

    def refund(self, charge: stripe.StripeObject, **more: object) -> stripe.Refund:
        return self.server.api.refunds.create({"payment_intent" if self.is_twin else "charge": charge.id, **more})


def error_of(act: Callable[[], object]) -> Outcome:
    try:
        return ("done", act().object != "")
    except stripe.StripeError as error:
        return (error.http_status, type(error).__name__, error.error.type, error.code, error.error.param)


def replayed(side: Charges) -> list[Outcome]:
    first, again = (side.charge("visa", "k") for _ in range(2))
    failures = []
    for _ in range(2):
        try:
            side.charge("chargeDeclined", "declined")
        except stripe.CardError as error:
            failures.append(error.error.charge)
    return [
        (first.id == again.id, again.last_response.headers["idempotent-replayed"]),
        ("idempotent-replayed" in first.last_response.headers,),
        error_of(lambda: side.charge("visa", "k", amount=1600)),
        error_of(lambda: side.charge("chargeDeclinedExpiredCard", "k")),
        (len(failures), failures[0] == failures[1]),
    ]


def refunded_within_bounds(side: Charges) -> list[Outcome]:
    charge = side.charge("visa")
    side.refund(charge, amount=500)
    disputed = side.charge("createDispute")
    return [
        error_of(lambda: side.refund(charge, amount=1001)),
        error_of(lambda: side.refund(charge, amount=0)),
        (side.refund(charge).amount,),
        error_of(lambda: side.refund(charge)),
        error_of(lambda: side.refund(charge, amount=1)),
        error_of(lambda: side.refund(disputed)),
    ]


def declined_for_a_reason(side: Charges) -> list[Outcome]:
    def reason(card: str) -> Outcome:
        try:
            side.charge(card)
        except stripe.CardError as error:
            # A code that is not `card_declined` says it all; the other one leaves out the reason then.
            because = error.error.decline_code if error.code == "card_declined" else None
            return (error.http_status, error.error.type, error.code, because, error.error.param)
        return ()

    return [reason(card) for card in DECLINES]


def bounded_amounts(side: Charges) -> list[Outcome]:
    outcomes = []
    for currency, least in MINIMUMS.items():
        outcomes.append(error_of(lambda: side.charge("visa", currency=currency, amount=least)))
        outcomes.append(error_of(lambda: side.charge("visa", currency=currency, amount=least - 1)))
    for asked in [{"amount": 0}, {"amount": -5}, {"amount": 99_999_999}, {"amount": 100_000_000}, {"currency": "zzz"}]:
        outcomes.append(error_of(lambda: side.charge("visa", **asked)))
    live = side.server.client("sk_live_x").refunds
    return [*outcomes, refusal(lambda: live.retrieve("re_absent"))]


def with_stateful_mock(twin: Server, other: Server) -> int:
    ours, theirs = Charges(twin, True), Charges(other, False)
    scripts = [replayed, refunded_within_bounds, declined_for_a_reason, bounded_amounts]
    return sum(same(script.__name__, script(ours), script(theirs)) for script in scripts)


def same(name: str, ours: list[Outcome], theirs: list[Outcome]) -> int:
    """How many outcomes were compared. All have to be equal."""
    assert len(ours) == len(theirs), f"{name}: {ours} {theirs}"
    differences = [f"the twin says {our}, the other one {their}" for our, their in zip(ours, theirs) if our != their]
    assert not differences, "\n".join([f"{name}:", *differences])
    return len(ours)
