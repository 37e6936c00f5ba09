"""What the twin promises, asked for by Stripe's official client: a client that we did not write."""

import time
from concurrent.futures import ThreadPoolExecutor

import stripe
from harness import CARD_ONLY, SECRET, Receiver, Server, fails

DAY_S = 24 * 3_600


class Twin(Server):
    """The twin, with its webhooks."""

    def __init__(self, url: str, receiver: Receiver) -> None:
        super().__init__(url)
        self.receiver = receiver

    def dispute(self, intent: stripe.PaymentIntent) -> stripe.Dispute:
        (dispute,) = self.api.disputes.list({"payment_intent": intent.id}).data
        return dispute

    def newest_transactions(self, count: int) -> list[tuple[str, int, int]]:
        listed = self.api.balance_transactions.list({"limit": count})
        return [(one.type, one.amount, one.fee) for one in listed.data]


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
    fails(stripe.AuthenticationError, lambda: twin.client("sk_live_x").payment_intents.retrieve("pi_absent"), 401)


def webhooks_verify_and_a_changed_one_does_not(twin: Twin) -> None:
    intent = twin.charge()
    kinds = []
    for event, body, signature in twin.receiver.events(intent.id):
        kinds.append(event.type)
        try:
            stripe.Webhook.construct_event(body.replace(b"1250", b"9950"), signature, SECRET)
            raise AssertionError("a changed body verifies")
        except stripe.SignatureVerificationError:
            pass
        if event.type == "payment_intent.succeeded":
            break
    assert kinds == ["payment_intent.created", "payment_intent.succeeded"]


def a_prepared_charge_is_confirmed_once_with_another_card_after_a_decline(twin: Twin) -> None:
    intents = twin.api.payment_intents
    invalid = stripe.InvalidRequestError
    intent = intents.create({"amount": 1250, "currency": "eur", "payment_method_types": CARD_ONLY})
    assert intent.status == "requires_payment_method" and intent.client_secret.startswith(intent.id)
    fails(invalid, lambda: intents.confirm(intent.id), 400, "payment_intent_unexpected_state")
    declined = {"payment_method": "pm_card_visa_chargeDeclined"}
    error = fails(stripe.CardError, lambda: intents.confirm(intent.id, declined), 402, "card_declined")
    assert error.error.payment_intent.status == "requires_payment_method"
    confirmed = intents.confirm(intent.id, {"payment_method": "pm_card_visa", "expand": ["latest_charge"]})
    assert confirmed.status == "succeeded" and confirmed.latest_charge.id != error.error.charge
    assert confirmed.latest_charge.payment_method_details.card.last4 == "4242"
    fails(invalid, lambda: intents.confirm(intent.id), 400, "payment_intent_unexpected_state")


def a_reserved_charge_says_until_when_and_ends_then(twin: Twin) -> None:
    intents = twin.api.payment_intents
    intent = twin.charge(capture_method="manual", expand=["latest_charge"])
    card = intent.latest_charge.payment_method_details.card
    assert abs(card.capture_before - time.time() - 7 * DAY_S) < 60
    short = intents.retrieve(intent.id)
    assert short.latest_charge == intent.latest_charge.id
    fails(stripe.InvalidRequestError, lambda: intents.retrieve(intent.id, {"expand": ["review"]}), 400)


def a_card_set_up_once_is_charged_while_its_owner_is_away(twin: Twin) -> None:
    api = twin.api
    customer = api.customers.create({"metadata": {"user": "u1"}})
    assert api.customers.retrieve(customer.id).metadata["user"] == "u1"

    def saved(method: str) -> str:
        setup = api.setup_intents.create(
            {"customer": customer.id, "usage": "off_session", "payment_method_types": CARD_ONLY}
        )
        setup = api.setup_intents.confirm(setup.id, {"payment_method": method})
        assert setup.status == "requires_action" and setup.next_action.type == "use_stripe_sdk"
        twin.post(f"/_twin/authenticate/{setup.id}/success")
        setup = api.setup_intents.retrieve(setup.id)
        assert (setup.status, setup.customer) == ("succeeded", customer.id)
        return setup.payment_method

    once, always = saved("pm_card_authenticationRequiredOnSetup"), saved("pm_card_authenticationRequired")
    away = {"customer": customer.id, "off_session": True}
    assert twin.charge(once, **away).status == "succeeded"
    fails(stripe.CardError, lambda: twin.charge(always, **away), 402, "authentication_required")
    assert twin.charge(once, customer=customer.id).status == "requires_action"
    listed = api.customers.payment_methods.list(customer.id, {"type": "card"})
    assert [(one.id, one.card.last4) for one in listed.data] == [(always, "3184"), (once, "3155")]
    assert api.payment_methods.list({"customer": customer.id, "limit": 1}).has_more

    fails(stripe.InvalidRequestError, lambda: twin.charge(once, off_session=True), 400)
    assert api.payment_methods.detach(once).customer is None
    fails(stripe.InvalidRequestError, lambda: api.payment_methods.detach(once), 400)
    fails(stripe.InvalidRequestError, lambda: twin.charge(once, **away), 400, "payment_method_unexpected_state")


def a_card_whose_issuer_declines_is_neither_set_up_nor_attached(twin: Twin) -> None:
    api = twin.api
    customer = api.customers.create()
    setup = api.setup_intents.create({"customer": customer.id})
    declined = {"payment_method": "pm_card_visa_chargeDeclinedInsufficientFunds"}
    error = fails(stripe.CardError, lambda: api.setup_intents.confirm(setup.id, declined), 402, "card_declined")
    assert error.error.setup_intent.status == "requires_payment_method"
    assert error.error.decline_code == "insufficient_funds"
    owner = {"customer": customer.id}
    fails(stripe.CardError, lambda: api.payment_methods.attach("pm_card_visa_chargeDeclined", owner), 402)
    fickle = api.payment_methods.attach("pm_card_chargeCustomerFail", owner)
    assert [one.id for one in api.payment_methods.list(owner).data] == [fickle.id]
    fails(stripe.CardError, lambda: twin.charge(fickle.id, customer=customer.id), 402, "card_declined")


def a_dispute_takes_the_money_and_gives_it_back_if_it_is_won(twin: Twin) -> None:
    invalid = stripe.InvalidRequestError
    won = twin.charge("pm_card_createDispute")
    fails(invalid, lambda: twin.refund(won, amount=100), 400, "charge_disputed")
    dispute = twin.dispute(won)
    assert (dispute.status, dispute.reason, dispute.amount) == ("needs_response", "fraudulent", 1250)
    whole = twin.api.disputes.retrieve(dispute.id, {"expand": ["payment_intent"]})
    assert whole.payment_intent == twin.api.payment_intents.retrieve(won.id)
    assert twin.newest_transactions(2) == [("adjustment", -1250, 1500), ("charge", 1250, 44)]
    twin.api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "a photograph"}})
    assert twin.dispute(won).status == "under_review"
    twin.post(f"/_twin/disputes/{dispute.id}/won")
    assert twin.dispute(won).status == "won"
    assert twin.newest_transactions(1) == [("adjustment", 1250, -1500)]
    assert twin.refund(won, amount=100).status == "succeeded"
    kinds = twin.receiver.kinds_until(won.id, "charge.dispute.funds_reinstated")
    assert [kind.removeprefix("charge.dispute.") for kind in kinds if "dispute" in kind] == [
        "created", "funds_withdrawn", "updated", "updated", "closed", "funds_reinstated",
    ]  # fmt: skip

    lost = twin.charge("pm_card_createDisputeProductNotReceived")
    twin.post(f"/_twin/disputes/{twin.dispute(lost).id}/lost")
    fails(invalid, lambda: twin.refund(lost, amount=100), 400, "charge_disputed")
    asked = twin.charge("pm_card_createDisputeInquiry")
    assert twin.dispute(asked).status == "warning_needs_response"
    assert twin.refund(asked, amount=100).status == "succeeded"


def a_refund_may_end_later_either_way(twin: Twin) -> None:
    refunds = twin.api.refunds
    pending, failing = (twin.refund(twin.charge(f"pm_card_{card}"), amount=500) for card in ["pendingRefund", "refundFail"])
    assert (pending.status, failing.status) == ("pending", "succeeded")
    twin.post("/_twin/clock/61")
    assert refunds.retrieve(pending.id).status == "succeeded"
    failed = refunds.retrieve(failing.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert twin.newest_transactions(1) == [("refund_failure", 500, 0)]
    kinds = twin.receiver.kinds_until(failing.payment_intent, "refund.failed")
    assert [kind for kind in kinds if "refund" in kind] == [
        "refund.created", "charge.refunded", "refund.updated", "refund.failed",
    ]  # fmt: skip


def a_payout_leaves_nothing(twin: Twin) -> None:
    twin.charge()
    twin.post("/_twin/payout")
    every = list(twin.api.balance_transactions.list({"limit": 100}).auto_paging_iter())
    assert sum(one.net for one in every) == 0 and every[0].type == "payout"


def a_key_is_forgotten_after_a_day(twin: Twin) -> None:
    intent = twin.charge(key="yesterday")
    assert twin.charge(key="yesterday").id == intent.id
    twin.post(f"/_twin/clock/{DAY_S}")
    assert twin.charge(key="yesterday").id != intent.id


def chaos_breaks_a_share_of_the_calls_and_ends(twin: Twin) -> None:
    def succeeds(key: str) -> bool:
        try:
            return twin.charge(key=key).status == "succeeded"
        except (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError):
            return False

    twin.post("/_twin/chaos", {"percent": 60, "seed": 7})
    outcomes = [succeeds(f"chaos {number}") for number in range(40)]
    assert 5 < outcomes.count(False) < 35, outcomes
    twin.post("/_twin/chaos", {"percent": 0, "seed": 0})
    assert all(succeeds(f"calm {number}") for number in range(20))


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
    a_prepared_charge_is_confirmed_once_with_another_card_after_a_decline,
    a_reserved_charge_says_until_when_and_ends_then,
    a_card_set_up_once_is_charged_while_its_owner_is_away,
    a_card_whose_issuer_declines_is_neither_set_up_nor_attached,
    a_dispute_takes_the_money_and_gives_it_back_if_it_is_won,
    a_refund_may_end_later_either_way,
    a_payout_leaves_nothing,
    a_key_is_forgotten_after_a_day,
    chaos_breaks_a_share_of_the_calls_and_ends,
]
