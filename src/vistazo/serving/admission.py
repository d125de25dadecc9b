"""Who is let in: as many inputs as may wait, and fewer while a crowd asks for more than can be answered.

A full queue makes everybody in it wait for all of it, as long as the crowd stays. So in a crowd only a few are let in,
and these are answered as quickly as without it. A burst that the queue can take is no crowd. Clients that ask again at
once make a crowd of themselves where the queue could hold them all, so now and then it is tried.
"""

from time import monotonic

from vistazo.serving.refusing import Refused

__all__ = ["Admission"]

_WINDOW = 0.25  # seconds for which requests are counted
_FLOOD = 32  # requests turned away in one window, from which on it is a crowd
_TRIAL = 20.0  # seconds of a crowd after which the whole queue is tried: its late answers are 1 in 500 then
_SMOOTHING = 0.1  # weight of the newest batch in the seconds an input takes
_SHARE = 0.25  # of a window's requests turned away, and it stays one


class Admission:
    """Counts inputs that are accepted and have no answer yet.

    queue: how many there may be. least: how many in a crowd. pace: seconds that an input takes, by `answered`.
    """

    def __init__(self, queue: int, least: int) -> None:
        self.queue, self.least = queue, min(least, queue)
        self.limit = queue
        self.accepted = 0
        self.pace = 0.001
        self._asked = self._refused = 0
        self._until = self._trial = 0.0

    @property
    def crowded(self) -> bool:
        """Whether requests are turned away that would have found a place without a crowd."""
        return self.limit != self.queue

    @property
    def full(self) -> bool:
        """Whether one more input finds no room now."""
        return 0 < self.accepted >= self.limit

    @property
    def wait(self) -> float:
        """Seconds until all that is accepted now is answered."""
        return self.accepted * self.pace

    def admit(self, count: int = 1) -> None:
        """Accept so many inputs, which `leave` takes back. Raises Refused 429 where there is no room.

        One request with more inputs than the queue has places comes in where nothing waits.
        """
        if self.turns_away(count):
            raise Refused.busy(self.wait)
        self.accepted += count

    def turns_away(self, count: int = 1) -> bool:
        """Whether so many inputs find no room now; the request is counted either way."""
        now = monotonic()
        if now >= self._until:
            stays = now < self._until + _WINDOW and self._refused > _SHARE * self._asked
            if not stays or now >= self._trial:
                self.limit = self.queue
            self._asked = self._refused = 0
            self._until = now + _WINDOW
        self._asked += 1
        if not self.accepted or self.accepted + count <= self.limit:
            return False
        self._refused += 1
        if not self.crowded and self._refused >= _FLOOD and self._refused > _SHARE * self._asked:
            self.limit, self._trial = self.least, now + _TRIAL
        return True

    def leave(self, count: int = 1) -> None:
        """So many accepted inputs are answered, or will not be."""
        self.accepted -= count

    def answered(self, seconds: float) -> None:
        """An input, with others at once, took so many seconds."""
        self.pace += _SMOOTHING * (seconds - self.pace)
