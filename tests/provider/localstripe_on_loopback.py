"""Runs localstripe on one loopback port and in memory, and prints the port.

By itself it listens on every interface, keeps each object in a pickle at a fixed path in the folder for temporary files, and reads that
file when it starts, whoever wrote it. Here the module that would do so finds no `open`. (It is under the GPL: a tool of these checks, and
no part of anything that is shipped.)
"""

import asyncio
import importlib.util
import io
import sys

from aiohttp import web

spec = importlib.util.find_spec("localstripe.resources")
resources = importlib.util.module_from_spec(spec)
# A name of the module comes before the built-in one, already while the module is being loaded.
resources.open = lambda *_: io.BytesIO()
sys.modules[spec.name] = resources
spec.loader.exec_module(resources)
resources.Store.dump_to_disk = lambda _: None

from localstripe.server import app  # noqa: E402


async def main() -> None:
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
