"""The load generator tells the truth: what has to wait is counted, what is lost is not forgotten."""

import asyncio
import contextlib
import sys
import threading
import time

import pytest
from trust import load, raw

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="epoll is Linux's")

STALL = 0.6


@contextlib.contextmanager
def server(answers):
    """A port on which every request gets the next of `answers(number, seconds since the first)`: bytes, or None."""
    numbers, began = iter(range(1 << 30)), []

    async def serve(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                began.append(time.monotonic())
                answer = answers(next(numbers), time.monotonic() - began[0])
                if answer is None:
                    break
                writer.write(answer)
        writer.close()

    ready, loop = threading.Event(), asyncio.new_event_loop()
    port = []

    async def main():
        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        port.append(listener.sockets[0].getsockname()[1])
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await listener.serve_forever()

    task = loop.create_task(main())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,))
    thread.start()
    ready.wait(30)
    yield port[0]
    loop.call_soon_threadsafe(task.cancel)
    thread.join(30)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def answer(status, *more):
    lines = [f"HTTP/1.1 {status} X", "content-length: 2", *more, "", "ok"]
    return "\r\n".join(lines).encode()


def test_a_stall_counts_for_every_request_that_was_planned_in_it():
    stalled = []

    def answers(number, seconds):
        if seconds > 1 and not stalled:
            stalled.append(True)
            time.sleep(STALL)
        return answer(200)

    with server(answers) as port:
        told = load.run(port, [raw.request("GET", "/", port=port)], seconds=2.5, rate=100)
    assert told.statuses == {200: 250}
    assert told.planned == pytest.approx([at / 100 for at in range(250)])
    # of the requests planned within the stall, half had to wait for more than half of it
    waited = told.latency > STALL / 2
    assert waited.sum() >= 100 * STALL / 2 - 5
    assert told.latency.max() >= STALL - 0.05
    assert told.percentile(99) >= STALL / 2


def test_what_is_lost_or_refused_is_told():
    def answers(number, seconds):
        kinds = (answer(200), answer(429, "Retry-After: 1"), answer(503), None)
        return kinds[number % 4]

    with server(answers) as port:
        told = load.run(port, [raw.request("GET", "/", port=port)], seconds=1, rate=80, connections=1)
    # a connection that was answered on may end at any moment, and then the request is sent again
    assert set(told.statuses) <= {200, 429, 503, load.LOST}
    assert sum(told.statuses.values()) == 80
    assert told.unasked == told.statuses[503] > 10
    assert told.rate(429) == told.statuses[429]


def test_without_a_rate_as_many_wait_as_there_are_connections():
    def answers(number, seconds):
        time.sleep(0.01)
        return answer(200)

    with server(answers) as port:
        told = load.run(port, [raw.request("GET", "/", port=port)], seconds=1, connections=4)
    assert set(told.statuses) == {200}
    assert told.connections == 4
    assert told.rate() <= 101
