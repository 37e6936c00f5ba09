"""Which permissions a function's code needs: the store's methods it calls, and what each of those calls of DynamoDB.

The second part is written down here, because it cannot be read off a method's name; `make stack` runs the functions under
their policies and so finds an entry that says too little.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import template as cfn

Needs = dict[str, set[str]]


def _needs(**tables: str) -> Needs:
    return {table.replace("_", "/", 1).replace("_", "-"): set(actions.split()) for table, actions in tables.items()}


def _all(*parts: Needs) -> Needs:
    union: Needs = {}
    for part in parts:
        for table, actions in part.items():
            union.setdefault(table, set()).update(actions)
    return union


LOT = _needs(Records="BatchGetItem")
TARIFF = _needs(Records="GetItem")
DOSSIER = _needs(Records="Query")
# Reads the record, its lot, its tariff and the tiles it claims; writes tiles and records in one transaction.
COMMAND = _all(LOT, TARIFF, DOSSIER, _needs(Records="PutItem", Calendar="GetItem BatchGetItem UpdateItem"))
FREE_SPOTS = _needs(Calendar="Query")
CASHIER = _all(COMMAND, FREE_SPOTS, _needs(Derived="GetItem PutItem"))
KEEP_CARD = _needs(Records="Query GetItem PutItem DeleteItem ConditionCheckItem")
# Reads the record, its lot and its driver's wishes; notes that the message is sent, or that it waits.
TELL = _all(LOT, DOSSIER, _needs(Records="GetItem PutItem DeleteItem"))
SPOTS_NOW = _needs(Calendar="GetItem BatchGetItem", Records="GetItem BatchGetItem")

# What the methods of the store and the helpers of the runtime call, by the text of their call.
CALLS: dict[str, Needs] = {
    "store.clone(": {},
    "store.lot(": LOT,
    "store.tariff(": TARIFF,
    # A version of a tariff is read with its calendar; who books now also asks how full the lot is.
    "store.pricing_of(": _all(LOT, TARIFF),
    "store.pricing_now(": _all(TARIFF, _needs(Derived="GetItem")),
    "store.tariff_maybe(": TARIFF,
    "store.tariffs(": _needs(Records="Query"),
    "store.summary(": _needs(Records="Query"),
    "store.draft_tariff(": _all(LOT, TARIFF, _needs(Records="PutItem")),
    "store.publish_tariff(": _all(LOT, _needs(Records="Query PutItem UpdateItem")),
    "store.withdraw_tariff(": _all(LOT, _needs(Records="Query PutItem UpdateItem")),
    "store.ended_stays(": _needs(Records_by_exit="Query", Records="GetItem BatchGetItem"),
    "store.dossier(": DOSSIER,
    "store.payment(": DOSSIER,
    # Reads what is documented and what is owed; writes the number, the reservation's entry and checks the payment.
    "store.issue_documents(": _all(
        LOT,
        TARIFF,
        DOSSIER,
        _needs(Records="PutItem ConditionCheckItem", Ledger="Query GetItem PutItem"),
    ),
    "store.receipt(": _all(DOSSIER, _needs(Ledger="GetItem")),
    "store.payments_of(": _needs(Records_by_owner="Query", Records="Query"),
    # Looks whether the card is a saved one as well.
    "store.pay(": _all(LOT, DOSSIER, _needs(Records="GetItem PutItem", Calendar="GetItem BatchGetItem")),
    "store.settle(": _all(COMMAND, FREE_SPOTS),
    "store.wallet(": _needs(Records="Query"),
    "store.validate(": COMMAND,
    "store.record_violation(": COMMAND,
    "store.void_violation(": COMMAND,
    "store.give_goodwill(": COMMAND,
    "store.take_cash(": COMMAND,
    "store.pay_out(": COMMAND,
    "store.count_till(": _needs(Records="Query GetItem PutItem"),
    "store.counts(": _needs(Records="Query"),
    # parkade_billing: what moves money also minds the provider's breaker.
    "cashier.carry_out(": CASHIER,
    "cashier.carry_out_known(": CASHIER,
    "cashier.call_off(": CASHIER,
    # It may be about a card, which it then keeps.
    "cashier.take_hint(": _all(CASHIER, KEEP_CARD),
    "cashier.begin_card(": _needs(Records="GetItem PutItem"),
    "cashier.finish_card(": KEEP_CARD,
    "cashier.remove_card(": _needs(Records="Query GetItem PutItem DeleteItem ConditionCheckItem"),
    "store.payer(": _needs(Records="GetItem"),
    "store.cards(": _needs(Records="Query"),
    "store.bill_automatically(": _needs(Records="GetItem PutItem DeleteItem ConditionCheckItem"),
    "store.enrolled(": _needs(Records="GetItem"),
    "store.reserve(": _all(COMMAND, FREE_SPOTS, _needs(Derived="GetItem")),
    "store.modify(": _all(COMMAND, FREE_SPOTS),
    "store.cancel(": COMMAND,
    "store.expire(": COMMAND,
    "store.no_show(": COMMAND,
    "store.check_in(": COMMAND,
    "store.check_out(": COMMAND,
    "store.walk_in(": _all(COMMAND, FREE_SPOTS, _needs(Derived="GetItem")),
    "store.overstay(": _all(COMMAND, FREE_SPOTS),
    "store.search(": _all(LOT, FREE_SPOTS),
    "store.spots_now(": SPOTS_NOW,
    "store.reservations_of(": _needs(Records_by_owner="Query", Records="GetItem BatchGetItem"),
    "store.by_plate(": _needs(Records_by_plate="Query", Records="GetItem BatchGetItem"),
    "store.lots_in_box(": _needs(Records="Query"),
    "store.occupancy(": _needs(Derived="GetItem BatchGetItem"),
    "store.recompute_occupancy(": _all(LOT, FREE_SPOTS, _needs(Derived="PutItem")),
    "store.put_lot(": _all(LOT, TARIFF, _needs(Records="PutItem DeleteItem", Derived="PutItem")),
    "store.put_spots(": _all(LOT, _needs(Records="PutItem")),
    "store.take_out_of_service(": _all(COMMAND, FREE_SPOTS),
    "store.put_in_service(": _all(COMMAND, _needs(Records="DeleteItem")),
    "store.preferences(": _needs(Records="GetItem"),
    "store.put_preferences(": _needs(Records="GetItem PutItem"),
    "store.notices_due(": _needs(Records_due="Query", Derived="GetItem PutItem"),
    "store.soon(": _needs(Records_due="Query", Derived="Query"),
    "store.reminded_until(": _needs(Derived="GetItem"),
    "store.note_reminded_until(": _needs(Derived="PutItem"),
    "store.reconciled(": _needs(Derived="GetItem"),
    "store.advance_reconciled(": _needs(Derived="PutItem"),
    "store.confirmed(": _needs(Ledger="GetItem BatchGetItem"),
    "store.confirm(": _needs(Ledger="PutItem"),
    "store.unsealed(": _needs(Ledger="GetItem BatchGetItem"),
    "store.books_of(": _needs(Ledger="Query"),
    "store.sealed_payments(": _needs(Ledger="Query"),
    "store.sealed_by_id(": _needs(Ledger="GetItem BatchGetItem"),
    "store.open_exception(": _needs(Ledger="PutItem"),
    "store.exceptions(": _needs(Ledger="Query"),
    "store.close_exception(": _needs(Ledger="GetItem PutItem"),
    "store.seal(": _needs(Ledger="Query PutItem"),
    "store.last_batch(": _needs(Ledger="Query"),
    "store.sealed(": _needs(Ledger="Query GetItem BatchGetItem"),
    "store.sealed_of(": _needs(Ledger="Query"),
    # Reads what an entry needs besides the images: whose payment it is, and what a stay was priced by.
    "Journal::new(": _all(LOT, TARIFF),
    # parkade_runtime, parkade_events and parkade_notify
    "lot(&": LOT,
    "stay_view(": _all(LOT, TARIFF),
    "pricing(&": _all(LOT, TARIFF),
    "spot_now(": SPOTS_NOW,
    "stays_of(": _needs(Records_by_plate="Query", Records="GetItem BatchGetItem"),
    "tell(&": TELL,
    "tell_waiting(": TELL,
    "sweep(&": _all(DOSSIER, _needs(Records_due="Query", Derived="GetItem PutItem")),
}
STORE_CALL = re.compile(r"\bstore\.[a-z_]+\(")
TEST_MODULE = re.compile(r"#\[cfg\(test\)\].*", re.DOTALL)


class UnknownCall(Exception):
    """A method of the store that is not in `CALLS`."""


def needed(function: str) -> Needs:
    """By table or `Records/<index>`: the actions that the function's code needs."""
    found: list[Needs] = []
    for path in sorted((cfn.ROOT / "functions" / function / "src").glob("**/*.rs")):
        code = re.sub(r"\s+\.", ".", TEST_MODULE.sub("", _without_comments(path)))
        for call in STORE_CALL.findall(code):
            if call not in CALLS:
                raise UnknownCall(f"{path.relative_to(cfn.ROOT)} calls {call}…), unknown to tests/stack/permissions.py")
        found += [needs for call, needs in CALLS.items() if re.search(rf"(?<![a-z_]){re.escape(call)}", code)]
    return _all(*found)


def _without_comments(path: Path) -> str:
    return "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("//"))


def allowed(template: dict[str, Any], properties: dict[str, Any]) -> Needs:
    """By table or `Records/<index>`: the actions of DynamoDB that the function's policy allows, streams aside."""
    policies: list[Needs] = []
    for statement in cfn.statements(template, properties):
        actions = {action.removeprefix("dynamodb:") for action in statement["Action"] if action.startswith("dynamodb:")}
        resource = statement.get("Resource")
        if not isinstance(resource, dict) or not actions:
            continue
        if "Fn::Sub" in resource:
            policies.append({re.sub(r"\$\{(\w+)\.Arn\}/index/", r"\1/", resource["Fn::Sub"]): actions})
        elif resource["Fn::GetAtt"][1] == "Arn":
            policies.append({resource["Fn::GetAtt"][0]: actions})
    return _all(*policies)
