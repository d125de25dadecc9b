"""What two teams' last 30 matches say about their next one: a table to learn from, made of a list of results.

Each row of the table is one match: who played, how the last 30 matches of either side went (twelve numbers, six a
side) and the outcome: `local`, `draw` or `visitor`. A row knows nothing that was known only after its match began:
it looks back at the days before its own, never at its own day.
"""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

__all__ = ["LAST", "NUMBERS", "OUTCOMES", "Match", "Record", "form", "numbers", "read_matches", "table"]

LAST = 30  # matches a team is judged by


class Match(NamedTuple):
    """One match that was played. date: YYYY-MM-DD, so that dates sort as text."""

    date: str
    home_team: str
    away_team: str
    home_score: int
    away_score: int


class Record(NamedTuple):
    """How a team's last matches went. longest_streak: the most wins in a row, anywhere among them."""

    wins: int
    draws: int
    losses: int
    goals_for: int
    goals_against: int
    longest_streak: int


NUMBERS = tuple(f"{side}_{name}" for side in ("local", "visitor") for name in Record._fields)
OUTCOMES = ("local", "draw", "visitor")  # in their order: a draw lies between the two


# ---------------------------------------------------------------- reading
def read_matches(path: str | Path) -> list[Match]:
    """The matches of a CSV file of results, oldest first; a file that ends in .gz is unpacked as it is read.

    Rows without a score, such as matches still to be played, are left out.
    Raises OSError where the file cannot be read, ValueError with the names of the columns that it lacks.
    """
    path = Path(path)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in Match._fields if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(", ".join(missing))
        found = [
            Match(
                row["date"],
                row["home_team"],
                row["away_team"],
                int(row["home_score"]),
                int(row["away_score"]),
            )
            for row in rows
            if (row["home_score"] or "").isdecimal() and (row["away_score"] or "").isdecimal()
        ]
    return sorted(found, key=lambda match: match.date)


# ---------------------------------------------------------------- the table
def table(matches: Iterable[Match]) -> Iterator[dict[str, str | int]]:
    """A row for each match whose two teams had both played at least 30 matches before that day.

    matches: oldest first, as `read_matches` gives them.
    Yields {"date", "home_team", "away_team", the twelve NUMBERS, "outcome"}.
    """
    memory = _Memory()
    for _, day in groupby(matches, key=lambda match: match.date):
        today = list(day)
        for match in today:
            local, visitor = memory.record(match.home_team), memory.record(match.away_team)
            if local and visitor:
                yield {
                    "date": match.date,
                    "home_team": match.home_team,
                    "away_team": match.away_team,
                    **numbers(local, visitor),
                    "outcome": outcome(match),
                }
        for match in today:  # only now: a match must not know of another one of its day, nor of itself
            memory.add(match)


def form(matches: Iterable[Match], day: str) -> dict[str, Record]:
    """The record of each team over its last 30 matches before `day`; teams with fewer are left out."""
    memory = _Memory()
    for match in matches:
        if match.date < day:
            memory.add(match)
    return memory.records()


def numbers(local: Record, visitor: Record) -> dict[str, int]:
    """The twelve numbers of a match between teams with these records, by name."""
    return dict(zip(NUMBERS, (*local, *visitor), strict=True))


def outcome(match: Match) -> str:
    """Who won: `local`, `visitor`, or `draw` for neither."""
    if match.home_score == match.away_score:
        return "draw"
    return "local" if match.home_score > match.away_score else "visitor"


def record_of(goals: Iterable[tuple[int, int]]) -> Record:
    """The record of matches given as (goals for, goals against), oldest first."""
    wins = draws = losses = scored = conceded = streak = longest = 0
    for own, other in goals:
        scored += own
        conceded += other
        wins += own > other
        draws += own == other
        losses += own < other
        streak = streak + 1 if own > other else 0
        longest = max(longest, streak)
    return Record(wins, draws, losses, scored, conceded, longest)


class _Memory:
    """The last 30 matches of every team, as far as it has been told."""

    def __init__(self) -> None:
        self._goals: defaultdict[str, deque[tuple[int, int]]] = defaultdict(lambda: deque(maxlen=LAST))

    def add(self, match: Match) -> None:
        self._goals[match.home_team].append((match.home_score, match.away_score))
        self._goals[match.away_team].append((match.away_score, match.home_score))

    def record(self, team: str) -> Record | None:
        """None for a team that has played fewer than 30 matches."""
        goals = self._goals[team]
        return record_of(goals) if len(goals) == LAST else None

    def records(self) -> dict[str, Record]:
        return {team: record_of(goals) for team, goals in self._goals.items() if len(goals) == LAST}
