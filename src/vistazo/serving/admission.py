"""Who is let in: as many inputs as may wait, and fewer while a crowd asks for more than can be answered.

A full queue makes everybody in it wait for all of it, as long as the crowd stays. So in a crowd only a few are let in,
and these are answered as quickly as without it. A burst that the queue can take is no crowd. With a few let in less is
answered than could be, and clients that ask again at once make a crowd of themselves where the queue could hold them
all; so now and then some more are let in, and where that is enough for most, it is a crowd no longer.
"""

from time import monotonic

from vistazo.serving.refusing import Refused

__all__ = ["Admission"]

_WINDOW = 0.25  # seconds for which requests are counted
_FLOOD = 32  # requests turned away in one window, from which on it is a crowd
_SHARE = 0.25  # of a window's requests turned away, and it stays one
_TRIAL, _TRIALS = 0.25, 8.0  # seconds of a crowd before a window in which more are let in: at first, at most
_MORE = 16  # so many: with most of what the service bears let through, a crowd made by a stall ends
_ENOUGH = 16  # requests turned away in such a window that show that it is a crowd still
_SOON = 0.01  # seconds in which a request that was let in at its head is at the queue
_SMOOTHING = 0.1  # weight of the newest batch in the seconds an input takes


class Admission:
    """Counts inputs that are accepted and have no answer yet.

    queue: how many there may be. least: how many in a crowd. pace: seconds that an input takes, by `answered`.
    """

    def __init__(self, queue: int, least: int) -> None:
        self.queue, self.least = queue, min(least, queue)
        self.limit = queue
        self.accepted = 0
        self.pace = 0.001
        self.crowded = False  # requests are turned away that would have found a place without a crowd
        self._asked = self._refused = self._before = 0
        self._until = self._trial = 0.0
        self._patience = _TRIAL
        self._expected, self._expected_at = 0, 0.0

    @property
    def full(self) -> bool:
        """Whether one more input finds no room now."""
        expected = self._expected if self._expected and monotonic() - self._expected_at < _SOON else 0
        return 0 < self.accepted + expected >= self.limit

    def expect(self) -> None:
        """A request is about to ask to be let in: until then, its place is taken."""
        now = monotonic()
        self._expected = self._expected + 1 if now - self._expected_at < _SOON else 1
        self._expected_at = now

    @property
    def wait(self) -> float:
        """Seconds until all that is accepted now is answered."""
        return self.accepted * self.pace

    def admit(self, count: int = 1) -> None:
        """Accept so many inputs, which `leave` takes back. Raises Refused 429 where there is no room.

        One request with more inputs than the queue has places comes in where nothing waits.
        """
        self._expected = max(0, self._expected - 1)
        self._count()
        if self.accepted and self.accepted + count > self.limit:
            self._turned_away()
            usual = max(
                self._asked, self._before
            )  # a moment in which the machine did something else is no crowd
            if not self.crowded and self._refused >= _FLOOD and self._refused > _SHARE * usual:
                self._patience = _TRIAL
                self.crowded, self.limit, self._trial = True, self.least, monotonic() + _TRIAL
            raise Refused.busy(self.wait)
        self.accepted += count

    def refuse(self) -> None:
        """In a crowd, a request is turned away at its head, as `full` says: it counts like any other."""
        self._count()
        self._turned_away()

    def _count(self) -> None:
        now = monotonic()
        if now >= self._until:
            self._judge(now)
        self._asked += 1

    def _turned_away(self) -> None:
        """One more; a trial that turns away as many as before ends at once, because everybody in it waits longer."""
        self._refused += 1
        if self.crowded and self._refused >= _ENOUGH and self._refused > _SHARE * self._asked:
            self.limit = self.least

    def _judge(self, now: float) -> None:
        """Whether it is a crowd still, at the end of a window."""
        if self.crowded:
            stays = now < self._until + _WINDOW and self._refused > _SHARE * self._asked
            if not stays:
                self.crowded, self.limit = False, self.queue
            elif now >= self._trial:
                self._patience = min(2 * self._patience, _TRIALS)
                self.limit, self._trial = min(max(_MORE, self.least), self.queue), now + self._patience
            else:
                self.limit = self.least
        self._before = self._asked if now < self._until + _WINDOW else 0
        self._asked = self._refused = 0
        self._until = now + _WINDOW

    def leave(self, count: int = 1) -> None:
        """So many accepted inputs are answered, or will not be."""
        self.accepted -= count

    def answered(self, seconds: float) -> None:
        """An input, with others at once, took so many seconds."""
        self.pace += _SMOOTHING * (seconds - self.pace)
