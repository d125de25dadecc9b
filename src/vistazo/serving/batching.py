"""Zero-wait batching: whatever has arrived when the model is free is answered at once, and nothing waits for company.

A model that is quick answers on the event loop itself: in a thread, torch lets go of the interpreter at every layer
and has to wait for it again. A slower one has a thread, and requests are read while it computes. One that computes in
another process is sent a batch while it computes the one before, if that is large enough to be worth it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, Generic, TypeVar

__all__ = ["SIZES", "Batcher"]

Item = TypeVar("Item")
Answer = Callable[[Sequence[Any]], Sequence[Any]]
Came = Callable[[Sequence[Any], float], None]
SIZES = (1, 2, 4, 8, 16, 32)
_TURNS = 2  # of the loop, without another input
_AHEAD = 8  # inputs that are sent to another process before it has answered those it has


class _Job(Generic[Item]):
    """The inputs of one request. left: those without an answer yet."""

    __slots__ = ("answers", "done", "items", "left")

    def __init__(self, items: Sequence[Item], done: "asyncio.Future[list[Any]]") -> None:
        self.items, self.done, self.left = items, done, len(items)
        self.answers: list[Any] = [None] * len(items)


class Batcher(Generic[Item]):
    """Gathers inputs of requests and answers them together.

    answer: from inputs to as many answers; an exception among them is that input's own. most: inputs answered at once.
    inline: whether to answer on the event loop. told: called with the size of each batch and the seconds an input took.
    settle: called once in the thread that answers. full: tells whether no further input would be let in now.
    distant: answers elsewhere, instead of `answer`: takes inputs, and calls with as many answers and the seconds they
    took. No task and no future stand in between: each would wait for all that the loop has to do besides.
    """

    def __init__(
        self,
        answer: Answer,
        *,
        most: int,
        inline: bool,
        told: Callable[[int, float], None] = lambda size, seconds: None,
        settle: Callable[[], None] = lambda: None,
        full: Callable[[], bool] = lambda: False,
        distant: Callable[[Sequence[Any], Came], None] | None = None,
    ) -> None:
        self.answer, self.most, self.inline, self._told = answer, most, inline, told
        self._settle, self._settled, self._full = settle, False, full
        self._waiting: deque[tuple[_Job[Item], int]] = deque()
        self._working = False
        self._pool: ThreadPoolExecutor | None = None
        self._distant, self._away, self._sent = distant, 0, 0  # batches elsewhere, inputs of the last one

    async def ask(self, items: Sequence[Item]) -> list[Any]:
        """The answers to inputs, in order; an exception in the place of an input that failed."""
        if not items:
            return []
        loop = asyncio.get_running_loop()
        job = _Job(items, loop.create_future())
        self._waiting.extend((job, at) for at in range(len(items)))
        if not self._working:
            self._working = True
            loop.call_soon(self._gather, loop, 0, 0)
        elif self._away == 1 and len(self._waiting) >= max(_AHEAD, self._sent):
            self._send(loop)
        return await job.done

    def close(self) -> None:
        """Let go of the thread, once nothing waits."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def _gather(self, loop: asyncio.AbstractEventLoop, seen: int, turns: int) -> None:
        """Begin once the requests that have arrived by now are read: nobody is waited for who has yet to come.

        A turn of the loop begins what came since the last one, and the next turn reads it: after two turns without
        another input, there is none. Another process computes while it is read: there, a turn is enough.
        """
        waiting = len(self._waiting)
        if waiting > seen:
            turns = 0
        if self._distant is not None or turns >= _TURNS or waiting >= self.most or self._full():
            self._next(loop)
        else:
            loop.call_soon(self._gather, loop, waiting, turns + 1)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._distant is not None:
            if self._waiting:
                self._send(loop)
            else:
                self._working = self._away > 0
            return
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(len(waiting), self.most))]
        if not batch:
            self._working = False
            return
        if self.inline:
            if not self._settled:
                self._settle()
                self._settled = True
            self._give(batch, self._answers(batch))
            if waiting:
                loop.call_soon(self._gather, loop, 0, 0)
            else:
                self._working = False
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "vistazo-model", self._settle)
        self._pool.submit(self._in_thread, loop, batch)

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._distant is not None
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(len(waiting), self.most))]
        self._away, self._sent = self._away + 1, len(batch)

        def came(answers: Sequence[Any], seconds: float) -> None:
            self._away -= 1
            self._told(len(batch), seconds / len(batch))
            self._give(batch, answers)
            if waiting or not self._away:
                self._next(loop)

        self._distant([job.items[at] for job, at in batch], came)

    def _in_thread(self, loop: asyncio.AbstractEventLoop, batch: list[tuple[_Job[Item], int]]) -> None:
        answers = self._answers(batch)

        def finish() -> None:
            self._give(batch, answers)
            self._next(loop)

        loop.call_soon_threadsafe(finish)

    def _answers(self, batch: list[tuple[_Job[Item], int]]) -> Sequence[Any]:
        began = perf_counter()
        items = [job.items[at] for job, at in batch]
        try:
            answers = self.answer(items)
        except Exception:  # one of them is at fault, and the others are not to suffer from it
            answers = [self._alone(item) for item in items]
        self._told(len(batch), (perf_counter() - began) / len(batch))
        return answers

    def _alone(self, item: Item) -> Any:
        try:
            return self.answer([item])[0]
        except Exception as error:
            return error

    def _give(self, batch: list[tuple[_Job[Item], int]], answers: Sequence[Any]) -> None:
        for (job, at), answer in zip(batch, answers, strict=True):
            job.answers[at] = answer
            job.left -= 1
            if not job.left and not job.done.done():  # the client may have gone
                job.done.set_result(job.answers)
