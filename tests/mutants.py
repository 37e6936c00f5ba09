#!/usr/bin/env python3
"""Break the store on purpose and see whether the suites notice.

Each mutant is one small change to a copy of the sources under target/mutants; the working tree is never touched. A mutant that the
suites pass with is a survivor, and the exit status is 1. Run one with `tests/mutants.py <part of its name>`.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TREE = TARGET / "mutants"
# Where the crates lie in the copy. Cargo names what it builds after the path in the workspace: with the path of the real tree, a mutant
# could end up in a build of the real tree.
MUTATED = "mutated"
CRATES = ["shared/domain", "shared/ledger", "shared/store", "shared/testkit", "tests"]
SUITES = ["src", "races", "crash_points", "deliveries", "ledger", "units"]
# A mutant may also wait for ever.
SECONDS_MAX = 300


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    change: tuple[str, str]
    # The suite that must fail, and which of its tests.
    suite: str
    test: str


STORE, DOMAIN = "shared/store/src", "shared/domain/src"
LEDGER = "writers_at_once_on_shuffled_and_repeated_batches_seal_one_intact_chain"
CROWD = "sixty_four_processes_on_six_spots_never_double_book_nor_lose_a_cent"
MUTANTS = [
    Mutant("a tile is written whatever it holds now", f"{STORE}/calendar.rs",
           ('format!("#{name} = :o{name}")', 'format!("(#{name} = :o{name} OR attribute_exists(#{name}))")'),
           "races", CROWD),
    Mutant("a free tile is written whatever it holds now", f"{STORE}/calendar.rs",
           ('format!("attribute_not_exists(#{name})")',
            'format!("(attribute_not_exists(#{name}) OR attribute_exists(#{name}))")'),
           "races", CROWD),
    Mutant("an expired hold keeps others out", f"{DOMAIN}/claims.rs",
           ("self.lease_s == 0 || self.lease_s as i64 > now_s", "now_s >= 0"),
           "races", "an_expired_hold_is_free_before_any_sweep_and_its_payment_is_refused"),
    Mutant("a hold keeps nobody out", f"{DOMAIN}/claims.rs",
           ("self.lease_s == 0 || self.lease_s as i64 > now_s", "self.lease_s == 0 && now_s >= 0"),
           "races", CROWD),
    Mutant("a record is written whatever its version", f"{STORE}/execute.rs",
           ('.condition_expression("#v = :v")', '.condition_expression("#v >= :v")'),
           "races", CROWD),
    Mutant("a confirmation leaves the hold's end in the calendar", f"{DOMAIN}/reservation.rs",
           ("&& was == is && self.lease_s() == lease_s", "&& was == is"),
           "deliveries", "a_late_payment_finds_the_other_spot_or_is_returned"),
    Mutant("a new record overwrites an old one", f"{STORE}/execute.rs",
           ('.condition_expression("attribute_not_exists(pk)")',
            '.condition_expression("attribute_not_exists(pk) OR attribute_exists(pk)")'),
           "races", "one_key_sent_twice_at_once_owns_one_spot"),
    Mutant("a request token made from the content", f"{STORE}/transact.rs",
           ("request.client_request_token(request_token())",
            "request.client_request_token({ use std::hash::{Hash, Hasher}; "
            'let mut text: Vec<char> = format!("{items:?}").chars().collect(); text.sort_unstable(); '
            "let mut hash = std::collections::hash_map::DefaultHasher::new(); text.hash(&mut hash); "
            'let _ = request_token; format!("{:016x}", hash.finish()) })'),
           "races", "a_request_identical_to_one_made_minutes_before_is_written_again"),
    Mutant("a replay that meets its own hold is told that it is taken", f"{STORE}/reserve.rs",
           ("self.known(&request.new).await?.ok_or(error)", "Err(error)"),
           "races", "a_replay_is_not_taken_by_its_own_hold"),
    Mutant("what was refunded before can be refunded again", f"{DOMAIN}/decide/money.rs",
           ("next.refunded_minor += too_much;", "next.refunded_minor += 0;"),
           "deliveries", "refunds_for_two_reasons_never_exceed_what_was_captured"),
    Mutant("a charge is refunded beyond itself", f"{DOMAIN}/settlement.rs",
           ("rest_minor.min(charge.captured_minor - charge.refunded_minor)", "rest_minor"),
           "deliveries", "a_balance_paid_during_a_cancellation_comes_back"),
    Mutant("a late payment keeps the money and gets no spot", f"{STORE}/payments.rs",
           ("Err(Refusal::Ended) => decide::paid_too_late(before, paid, now_s, mark)?,\n                other => other?,\n"
            "            },\n            None => decide::paid_too_late(before, paid, now_s, mark)?,",
            "Err(Refusal::Ended) => decide::paid_too_late(before, paid, now_s, mark)?,\n                other => other?,\n"
            "            },\n            None => return self.settle_alone(before, paid.clone()).await,"),
           "deliveries", "a_payment_that_races_everything_for_the_only_spot_is_never_free_nor_lost"),
    Mutant("a key with another request gets the first one's charge", f"{STORE}/payments.rs",
           ("if known.mark.fingerprint != order.mark.fingerprint {", "if known.mark.key != order.mark.key {"),
           "races", "one_key_sent_twice_at_once_is_one_charge_and_never_another_one"),
    Mutant("a key that comes again is another charge", f"{STORE}/payments.rs",
           (".find(|p| p.mark.key == order.mark.key)", ".find(|p| p.mark.key == order.mark.key && p.version > 1)"),
           "races", "one_key_sent_twice_at_once_is_one_charge_and_never_another_one"),
    Mutant("a success that is told twice is booked twice", f"{DOMAIN}/payment.rs",
           ("(S::Requested, Word::Succeeded { .. }) => S::Succeeded,",
            "(S::Requested | S::Succeeded, Word::Succeeded { .. }) => S::Succeeded,"),
           "deliveries", "a_payment_that_races_everything_for_the_only_spot_is_never_free_nor_lost"),
    Mutant("a lost answer of the store is taken for a closed spot", f"{STORE}/commands.rs",
           ("Err(CommandError::NotFound) => return Err(CommandError::SpotTaken),",
            "Err(_) => return Err(CommandError::SpotTaken),"),
           "crash_points", "sweeping_survives_every_crash"),
    Mutant("an entry is sealed as often as it comes", f"{STORE}/ledger.rs",
           ('let once = |item| self.ledger_put(item, Some("attribute_not_exists(pk)"));\n',
            'let once = |item: Item| { let condition = if item.contains_key("ph") { "attribute_exists(pk) OR attribute_not_exists(pk)" } '
            'else { "attribute_not_exists(pk)" }; self.ledger_put(item, Some(condition)) };\n'),
           "ledger", LEDGER),
    Mutant("two writers append to one end of a chain", f"{STORE}/ledger.rs",
           ('let once = |item| self.ledger_put(item, Some("attribute_not_exists(pk)"));\n',
            'let once = |item: Item| { let condition = if item.contains_key("ba") { "attribute_exists(pk) OR attribute_not_exists(pk)" } '
            'else { "attribute_not_exists(pk)" }; self.ledger_put(item, Some(condition)) };\n'),
           "ledger", LEDGER),
    Mutant("a prepayment is earned before the stay has ended", "shared/ledger/src/mapping.rs",
           ("Status::Completed | Status::Cancelled | Status::NoShow)",
            "Status::Confirmed | Status::Completed | Status::Cancelled | Status::NoShow)"),
           "ledger", "a_merchant_owes_for_a_stay_once_it_has_ended_and_the_driver_the_rest"),
    Mutant("two people decide one exception", f"{STORE}/reconciliation.rs",
           ('.condition_expression("#v = :v")', '.condition_expression("#v >= :v")'),
           "ledger", "of_two_decisions_on_one_exception_at_once_one_stands"),
    Mutant("a slow run undoes a later one's progress", f"{STORE}/reconciliation.rs",
           ('"attribute_not_exists(t) OR (t <= :t AND s <= :s)"', '"attribute_not_exists(t) OR t <= :t OR t >= :t OR s = :s"'),
           "ledger", "a_slow_run_of_reconciliation_never_undoes_a_later_ones_progress"),
    Mutant("a payment is confirmed by the last transaction that names it", f"{STORE}/reconciliation.rs",
           ('transact::put(put.condition_expression("attribute_not_exists(pk)")).await.map(drop)',
            'transact::put(put).await.map(drop)'),
           "ledger", "a_slow_run_of_reconciliation_never_undoes_a_later_ones_progress"),
    Mutant("a refund that the bank sends back stays booked", "shared/ledger/src/mapping.rs",
           ("if moved == 0 {", "if moved == 0 || (moved > 0 && new.returns().is_some()) {"),
           "ledger", "any_trade_leaves_the_books_at_zero_and_equal_to_the_providers"),
    Mutant("what a vehicle has used is written whatever its version", f"{STORE}/execute.rs",
           ('.condition_expression("#v = :v")', '.condition_expression("#v >= :v")'),
           "races", "validations::a_vehicle_never_uses_more_than_the_limit_whoever_gives_at_once"),
    Mutant("a validation is given and its use is forgotten", f"{STORE}/validations.rs",
           ("vec![(write_uses(key(), &after, limit), version)]",
            "vec![(write_uses(key(), &after, limit), version)].into_iter().filter(|_| order.now_s < 0).collect()"),
           "races", "validations::a_vehicle_never_uses_more_than_the_limit_whoever_gives_at_once"),
    Mutant("a validation is given as often as it is asked for", f"{DOMAIN}/decide/validate.rs",
           ("known.id == given.id) {", "known.id == given.id && known.used_before > 9) {"),
           "races", "validations::a_stay_is_given_the_same_once_and_a_repeated_gift_is_one"),
    Mutant("a repeated gift that overtakes itself is refused", f"{STORE}/validations.rs",
           ("*by == r.id)", "*by == r.id && order.now_s < 0)"),
           "races", "validations::a_stay_is_given_the_same_once_and_a_repeated_gift_is_one"),
    Mutant("a violation is not earned", "shared/ledger/src/mapping.rs",
           ("if has_ended(stay) { stay.owed_minor() }", "if has_ended(stay) { stay.price_minor }"),
           "ledger", "any_trade_leaves_the_books_at_zero_and_equal_to_the_providers"),
    Mutant("nobody owes what a merchant gave", "shared/ledger/src/mapping.rs",
           ("*postings.entry(Account::Merchant(merchant.clone())).or_default() += i128::from(debit.amount_minor);", ""),
           "ledger", "a_merchant_owes_for_a_stay_once_it_has_ended_and_the_driver_the_rest"),
]


def copy_sources() -> None:
    """The crates under test and their suites, as a small workspace: the functions would take minutes to compile."""
    shutil.rmtree(TREE, ignore_errors=True)
    TREE.mkdir(parents=True)
    for name in ["Cargo.lock", "rust-toolchain.toml", "clippy.toml"]:
        shutil.copy(ROOT / name, TREE / name)
    members = ", ".join(f'"{MUTATED}/{crate}"' for crate in CRATES)
    manifest = (ROOT / "Cargo.toml").read_text().replace('path = "shared/', f'path = "{MUTATED}/shared/')
    manifest = re.sub(r"members = \[.*?\]", f"members = [{members}]", manifest, flags=re.DOTALL)
    (TREE / "Cargo.toml").write_text(re.sub(r"default-members = \[.*?\]\n", "", manifest, flags=re.DOTALL))
    for crate in CRATES[:-1]:
        shutil.copytree(ROOT / crate, TREE / MUTATED / crate)
    for suite in SUITES:
        shutil.copytree(ROOT / "tests" / suite, TREE / MUTATED / "tests" / suite)
    suites = (ROOT / "tests/Cargo.toml").read_text().split("[dev-dependencies]")[0]
    keep = [part for part in re.split(r"(?=\[\[test\]\])", suites) if not any(f'name = "{suite}"' in part for suite in ("api", "money"))]
    (TREE / MUTATED / "tests/Cargo.toml").write_text("".join(keep))


def cargo(*arguments: str) -> subprocess.CompletedProcess:
    # One seed, so that what is caught today is caught tomorrow.
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "PARKADE_SEED": "1", "RUST_BACKTRACE": "0"}
    command = ["cargo", *arguments]
    return subprocess.run(command, cwd=TREE, env=environment, text=True, capture_output=True, timeout=SECONDS_MAX * 4)


def is_caught(mutant: Mutant) -> bool:
    built = cargo("test", "--package", "parkade-tests", "--test", mutant.suite, "--no-run")
    if built.returncode != 0:
        sys.exit(f"{mutant.name}: does not compile\n{built.stderr}")
    try:
        ran = cargo("test", "--package", "parkade-tests", "--test", mutant.suite, "--", "--exact", mutant.test)
    except subprocess.TimeoutExpired:
        return True
    if "running 1 test" not in ran.stdout:
        sys.exit(f"{mutant.name}: there is no test {mutant.test}\n{ran.stdout}{ran.stderr}")
    return ran.returncode != 0


def main() -> None:
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.name for word in sys.argv[1:])]
    copy_sources()
    survivors = []
    for mutant in chosen:
        started = time.monotonic()
        source = TREE / MUTATED / mutant.file
        text = source.read_text()
        before, after = mutant.change
        if before not in text:
            sys.exit(f"{mutant.name}: {mutant.file} does not contain {before!r} any more")
        source.write_text(text.replace(before, after))
        caught = is_caught(mutant)
        source.write_text(text)
        print(f"{'caught  ' if caught else 'SURVIVED'} {time.monotonic() - started:5.0f} s  {mutant.name}", flush=True)
        if not caught:
            survivors.append(mutant.name)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    sys.exit(1 if survivors else 0)


main()
