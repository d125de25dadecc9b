"""Zero-wait batching, computed by hand."""

import asyncio
import threading

import pytest

from vistazo.serving import batching
from vistazo.serving.batching import Batcher
from vistazo.serving.refusing import Refused


def doubled(batches):
    def answer(items):
        batches.append(list(items))
        return [2 * one for one in items]

    return answer


@pytest.mark.parametrize("inline", [True, False])
def test_what_is_queued_together_is_answered_together(inline):
    batches = []

    async def main():
        one = Batcher(doubled(batches), most=4, queue=100, least=100, inline=inline)
        told = await asyncio.gather(*(one.ask([at]) for at in range(10)))
        one.close()
        return told

    assert asyncio.run(main()) == [[2 * at] for at in range(10)]
    assert [len(batch) for batch in batches] == [4, 4, 2]


def test_what_comes_while_the_model_works_is_one_batch():
    batches, gate, begun = [], threading.Event(), threading.Event()

    def answer(items):
        batches.append(list(items))
        begun.set()
        gate.wait(10)
        return items

    async def main():
        one = Batcher(answer, most=32, queue=100, least=100, inline=False)
        first = asyncio.create_task(one.ask([0]))
        await asyncio.to_thread(begun.wait, 10)
        rest = [asyncio.create_task(one.ask([at])) for at in range(1, 6)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, *rest)
        one.close()

    asyncio.run(main())
    assert batches == [[0], [1, 2, 3, 4, 5]]


def test_inputs_of_one_request_come_back_in_order_over_several_batches():
    async def main():
        one = Batcher(doubled([]), most=3, queue=2, least=2, inline=True)
        return await one.ask(list(range(8)))

    assert asyncio.run(main()) == [0, 2, 4, 6, 8, 10, 12, 14]


def test_an_input_that_fails_fails_alone():
    def answer(items):
        if 3 in items:
            raise ValueError("three")
        return items

    async def main():
        one = Batcher(answer, most=8, queue=100, least=100, inline=True)
        return await asyncio.gather(*(one.ask([at]) for at in range(5)))

    told = asyncio.run(main())
    assert told[:3] + told[4:] == [[0], [1], [2], [4]]
    assert isinstance(told[3][0], ValueError)


def test_a_full_queue_tells_when_to_come_back():
    one = Batcher(doubled([]), most=8, queue=4, least=2, inline=True)
    one.pace = 2.0
    one.admit(3)
    one.admit()
    with pytest.raises(Refused) as refused:
        one.admit()
    assert refused.value.status == 429
    assert dict(refused.value.more)[b"retry-after"] == b"8"
    one.leave(4)
    one.admit(100)  # one request that is larger than the queue comes in where nothing waits
    assert one.accepted == 100


def test_in_a_crowd_that_does_not_pass_the_queue_is_short(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(batching, "monotonic", lambda: now[0])
    one = Batcher(doubled([]), most=8, queue=4, least=2, inline=True)

    def let_in():
        """How many come in of five that come at once."""
        came = 0
        for _ in range(5):
            try:
                one.admit()
            except Refused:
                continue
            came += 1
        one.leave(came)
        return came

    assert [let_in(), let_in(), let_in()] == [4, 2, 2]
    now[0] += 2.1
    assert [let_in(), let_in()] == [4, 2]
    now[0] += 2.1
    one.admit(3)  # nobody too many: the queue stays long
    one.admit()
    assert one.accepted == 4
