"""Zero-wait batching, computed by hand."""

import asyncio
import threading

import pytest

from vistazo.serving.batching import Batcher


def doubled(batches):
    def answer(items):
        batches.append(list(items))
        return [2 * one for one in items]

    return answer


@pytest.mark.parametrize("inline", [True, False])
def test_what_is_queued_together_is_answered_together(inline):
    batches = []

    async def main():
        one = Batcher(doubled(batches), most=4, inline=inline)
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
        one = Batcher(answer, most=32, inline=False)
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
        one = Batcher(doubled([]), most=3, inline=True)
        return await one.ask(list(range(8)))

    assert asyncio.run(main()) == [0, 2, 4, 6, 8, 10, 12, 14]


def test_an_input_that_fails_fails_alone():
    def answer(items):
        if 3 in items:
            raise ValueError("three")
        return items

    async def main():
        one = Batcher(answer, most=8, inline=True)
        return await asyncio.gather(*(one.ask([at]) for at in range(5)))

    told = asyncio.run(main())
    assert told[:3] + told[4:] == [[0], [1], [2], [4]]
    assert isinstance(told[3][0], ValueError)


def test_nothing_is_waited_for_where_nobody_else_would_be_let_in():
    """What is read two turns later is in the batch; where there is no room, the batch begins without looking."""
    batches = []

    async def main(full):
        one = Batcher(doubled(batches), most=8, inline=True, full=lambda: full)

        async def later():
            for _ in range(2):
                await asyncio.sleep(0)
            return await one.ask([1])

        await asyncio.gather(one.ask([0]), later())

    asyncio.run(main(False))
    asyncio.run(main(True))
    assert batches == [[0, 1], [0], [1]]


# ---------------------------------------------------------------- computed elsewhere
class Elsewhere:
    """Takes batches, and answers them when it is told to."""

    def __init__(self):
        self.batches, self.waiting = [], []

    def send(self, items, came):
        self.batches.append(list(items))
        self.waiting.append((items, came))

    def answer(self):
        items, came = self.waiting.pop(0)
        came([2 * one for one in items], 0.001)


def distant(elsewhere, most=32):
    return Batcher(None, most=most, inline=False, distant=elsewhere.send)


async def turns(count=3):
    for _ in range(count):
        await asyncio.sleep(0)


def test_while_another_process_computes_a_batch_that_is_worth_it_is_sent_ahead():
    there = Elsewhere()

    async def main():
        one = distant(there)
        asked = [asyncio.create_task(one.ask([at])) for at in range(3)]
        await turns()
        assert there.batches == [[0, 1, 2]]
        asked += [asyncio.create_task(one.ask([at])) for at in range(3, 10)]
        await turns()
        assert len(there.batches) == 1, "seven are not worth it"
        asked += [asyncio.create_task(one.ask([at])) for at in range(10, 13)]
        await turns()
        assert there.batches[1:] == [list(range(3, 11))], "eight are; no third batch is sent"
        asked += [asyncio.create_task(one.ask([at])) for at in range(13, 40)]
        await turns()
        assert len(there.batches) == 2
        while there.waiting:
            there.answer()
        told = await asyncio.gather(*asked)
        again = asyncio.create_task(one.ask([50]))
        await turns()
        there.answer()
        return [*told, await again]

    assert asyncio.run(main()) == [[2 * at] for at in [*range(40), 50]]
    assert [len(one) for one in there.batches] == [3, 8, 29, 1]


def test_a_process_that_answers_at_once_that_it_is_gone_keeps_nobody():
    def gone(items, came):
        came([ValueError("gone")] * len(items), 0.0)

    async def main():
        one = Batcher(None, most=2, inline=False, distant=gone)
        told = await asyncio.gather(*(one.ask([at, at]) for at in range(40)))
        return [*told, await one.ask([1])]

    told = asyncio.run(main())
    assert len(told) == 41
    assert all(isinstance(one, ValueError) for answers in told for one in answers)
