"""The example of football matches: rows that know nothing of the future, and tournaments that add up."""

import csv
import gzip
import importlib.util
import itertools
import json
import re
import string
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from vistazo import language

EXAMPLE = Path(__file__).parents[1] / "examples" / "football"


def module(name: str) -> ModuleType:
    """A module of the example, under the name by which its program imports it."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


football = module("football")
run = module("run")


def league(teams: tuple[str, ...], days: int, *, seed: int = 0, first: str = "2010-01-01") -> list[Any]:
    """Every team plays on every day, a week apart; earlier names in `teams` score more."""
    random = np.random.default_rng(seed)
    dates = np.datetime64(first) + 7 * np.arange(days)
    found = []
    for date in dates:
        order = random.permutation(len(teams))
        for home, away in order.reshape(-1, 2):
            goals = random.poisson([2.4 - 1.6 * home / len(teams), 2.0 - 1.6 * away / len(teams)])
            found.append(football.Match(str(date), teams[home], teams[away], *map(int, goals)))
    return found


def write(path: Path, matches: list[Any]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*football.Match._fields, "tournament"])
        writer.writerows([*match, "Friendly"] for match in matches)
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def ten() -> list[Any]:
    """A league of ten teams: five matches on each of 45 days, and some days on which teams play twice."""
    matches = league(tuple("ABCDEFGHIJ"), 45)
    twice = [match._replace(home_team=match.away_team, away_team=match.home_team) for match in matches[::9]]
    return sorted(matches + twice, key=lambda match: match.date)


# ---------------------------------------------------------------- the rows
def brute_force(matches: list[Any]) -> list[dict[str, Any]]:
    """The table again, each row from a look through all matches, with sums and text instead of a memory."""

    def of(team: str, date: str) -> list[int] | None:
        ours = [m for m in matches if m.date < date and team in (m.home_team, m.away_team)][-30:]
        if len(ours) < 30:
            return None
        goals = [(m[3], m[4]) if m.home_team == team else (m[4], m[3]) for m in ours]
        letters = "".join("W" if a > b else "D" if a == b else "L" for a, b in goals)
        streak = max(len(part) for part in letters.replace("D", "L").split("L"))
        return [
            *(letters.count(one) for one in "WDL"),
            *(sum(side) for side in zip(*goals, strict=True)),
            streak,
        ]

    found = []
    for m in matches:
        local, visitor = of(m.home_team, m.date), of(m.away_team, m.date)
        if local and visitor:
            outcome = ("visitor", "draw", "local")[int(np.sign(m.home_score - m.away_score)) + 1]
            numbers = dict(zip(football.NUMBERS, local + visitor, strict=True))
            names = {"date": m.date, "home_team": m.home_team, "away_team": m.away_team}
            found.append({**names, **numbers, "outcome": outcome})
    return found


def test_the_rows_are_those_of_a_look_through_all_matches(ten):
    rows = list(football.table(ten))
    assert rows == brute_force(ten)
    assert len(rows) > 60
    assert {row["outcome"] for row in rows} == set(football.OUTCOMES)


def test_a_result_changes_no_row_of_its_day_or_before_but_its_own_outcome(ten):
    before = list(football.table(ten))
    at = next(at for at, match in enumerate(ten) if match.date == before[len(before) // 2]["date"])
    changed = ten[at]._replace(home_score=90, away_score=0)
    after = list(football.table([*ten[:at], changed, *ten[at + 1 :]]))
    differing = [
        new
        for old, new in zip(before, after, strict=True)
        if {**old, "outcome": ""} != {**new, "outcome": ""}
    ]
    assert differing and all(row["date"] > changed.date for row in differing)
    assert all(old == new for old, new in zip(before, after, strict=True) if old["date"] < changed.date)


def test_matches_of_one_day_do_not_know_one_another():
    past = [football.Match(f"2020-01-{day:02}", "A", "B", 1, 0) for day in range(1, 31)]
    today = [football.Match("2020-02-01", *names) for names in (("A", "B", 0, 7), ("B", "A", 2, 2))]
    one, other = football.table(past + today)
    assert (one["local_goals_for"], one["visitor_goals_for"]) == (30, 0)
    assert (other["local_goals_for"], other["visitor_goals_for"]) == (0, 30)


def test_thirty_matches_are_needed_and_only_the_last_thirty_count():
    past = [
        football.Match(f"2020-{day // 28 + 1:02}-{day % 28 + 1:02}", "A", "B", day, 0) for day in range(31)
    ]
    rows = list(football.table(past))
    assert [row["date"] for row in rows] == [past[30].date]  # the first 30 have fewer behind them
    assert rows[0]["local_goals_for"] == sum(range(30))
    assert football.form(past, "2021-01-01")["A"].goals_for == sum(range(1, 31))


@pytest.mark.parametrize(
    ("letters", "longest"),
    [
        pytest.param("WWLWWWDW", 3, id="the longest of several"),
        pytest.param("LLDD", 0, id="no win"),
        pytest.param("WWWW", 4, id="all won"),
        pytest.param("WDW", 1, id="a draw ends it"),
        pytest.param("LWW", 2, id="up to the last match"),
    ],
)
def test_a_streak_is_the_most_wins_in_a_row(letters, longest):
    goals = [{"W": (2, 1), "D": (1, 1), "L": (0, 3)}[letter] for letter in letters]
    record = football.record_of(goals)
    assert record.longest_streak == longest
    assert record[:3] == tuple(letters.count(letter) for letter in "WDL")


def test_form_looks_at_no_match_of_the_day_itself(ten):
    last = ten[-1].date
    assert football.form(ten, last) == football.form(
        [match for match in ten if match.date < last], "9999-12-31"
    )
    row = next(row for row in football.table(ten) if row["date"] == last)
    records = football.form(ten, last)
    assert football.numbers(records[row["home_team"]], records[row["away_team"]]).items() <= row.items()


def test_matches_are_read_packed_or_not_oldest_first_and_without_those_to_come(tmp_path):
    lines = (
        "date,home_team,away_team,home_score,away_score\n"
        "2021-01-02,Curaçao,B,1,0\n2021-01-03,A,B,NA,NA\n2020-05-05,A,B,2,2\n"
    )
    (tmp_path / "plain.csv").write_text(lines, encoding="utf-8")
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(lines.encode()))
    plain, packed = (football.read_matches(tmp_path / name) for name in ("plain.csv", "packed.csv.gz"))
    assert plain == packed == [("2020-05-05", "A", "B", 2, 2), ("2021-01-02", "Curaçao", "B", 1, 0)]


# ---------------------------------------------------------------- the tournament
EQUAL = np.full((32, 32), 0.37), np.full((32, 32), 0.26)


def test_the_shares_of_each_stage_add_up_to_its_teams():
    shares = run.play(*EQUAL, tournaments=500, seed=3)
    assert shares.sum(0) == pytest.approx([16, 8, 4, 2, 1])
    assert (np.diff(shares, axis=1) <= 0).all()  # nobody comes further without having come so far
    assert shares[:, 0].reshape(8, 4).sum(1) == pytest.approx(2)  # two of each group


def test_equal_teams_are_champion_equally_often():
    n = 20_000
    champion = run.play(*EQUAL, tournaments=n, seed=1)[:, -1]
    assert np.abs(champion - 1 / 32).max() < 4.5 * np.sqrt(1 / 32 * 31 / 32 / n)


@pytest.mark.parametrize("team", [0, 13, 31])
def test_a_team_that_always_wins_is_always_champion(team):
    wins, draws = (one.copy() for one in EQUAL)
    wins[team], wins[:, team], draws[team], draws[:, team] = 1, 0, 0, 0
    assert run.play(wins, draws, tournaments=200, seed=0)[team].tolist() == [1] * 5


def test_two_draws_in_a_knock_out_match_are_one_win_each():
    half = run.play(np.zeros((32, 32)), np.ones((32, 32)), tournaments=20_000, seed=0)
    assert np.abs(half - [0.5, 0.25, 0.125, 0.0625, 0.03125]).max() < 0.02


def test_the_better_team_of_a_group_meets_the_second_of_its_neighbour():
    strength = np.arange(32)[::-1]  # Qatar best, then Ecuador, ...: each group's order is that of the table
    wins = (strength[:, None] > strength).astype(float)
    shares = run.play(wins, np.zeros((32, 32)), tournaments=3, seed=0)
    reached = [{run.TEAMS[at] for at in np.flatnonzero(stage)} for stage in shares.T]
    assert reached[0] == {team for group in run.GROUPS.values() for team in group[:2]}
    # 1A beats 2B, 2A beats 1B, and so for C, E and G; then A meets C and E meets G, then A meets E
    for stage, groups in ((1, "ACEG"), (2, "AE"), (3, "A")):
        assert reached[stage] == {team for group in groups for team in run.GROUPS[group][:2]}
    assert reached[4] == {"Qatar"}


def test_the_same_seed_plays_the_same_tournaments():
    one, same, other = (run.play(*EQUAL, tournaments=50, seed=seed) for seed in (5, 5, 6))
    assert (one == same).all() and (one != other).any()


def test_ten_thousand_tournaments_take_less_than_ten_seconds():
    began = time.perf_counter()
    run.play(*EQUAL, tournaments=10_000, seed=0)
    assert time.perf_counter() - began < 10


class HomeSideWins(NamedTuple):
    """A model that only knows who plays at home, and says so more surely of a team with more wins."""

    asked: list[int]

    def predict(self, rows: list[dict[str, int]]) -> Any:
        self.asked.append(len(rows))
        for row in rows:
            local = 0.6 if row["local_wins"] > row["visitor_wins"] else 0.5
            yield {
                "class": "local",
                "top": [["local", local], ["draw", 0.3], ["visitor", round(0.7 - local, 6)]],
            }


def test_both_orders_of_a_pair_are_averaged_and_asked_in_one_call():
    records = {team: football.Record(at, 0, 0, 0, 0, 0) for at, team in enumerate(run.TEAMS)}
    model = HomeSideWins([])
    wins, draws = run.pair_probabilities(model, records)
    assert model.asked == [32 * 31]
    off = ~np.eye(32, dtype=bool)
    assert (wins + wins.T + draws)[off] == pytest.approx(1)
    assert wins[5, 3] == pytest.approx((0.6 + 0.2) / 2) and wins[3, 5] == pytest.approx((0.5 + 0.1) / 2)


def test_the_groups_hold_32_teams_and_each_pair_of_groups_crosses_over():
    assert len(set(run.TEAMS)) == 32
    assert sorted(run.ROUND_OF_16) == sorted(itertools.product(run.GROUPS, (1, 2)))


# ---------------------------------------------------------------- what is shown
def test_the_chart_is_well_formed_and_escapes_names(monkeypatch):
    monkeypatch.setattr(run, "TEAMS", ("Cats & <Dogs>", *run.TEAMS[1:]))
    shares = np.linspace(0.06, 0, 32)[:, None].repeat(5, axis=1)
    for tongue, figure in (("en", "6.0%"), ("es", "6,0\u00a0%")):
        with language.speaking(tongue):
            root = fromstring(run.chart(shares, 1000))
        texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
        bars = list(root.iter("{http://www.w3.org/2000/svg}rect"))[1:]
        assert texts[2:4] == ["Cats & <Dogs>", figure]
        assert len(bars) == 16
        assert all(float(bar.get("x", 0)) + float(bar.get("width", 0)) <= 640 for bar in bars)
        assert float(bars[-1].get("y", 0)) + 20 < float(root.get("height", 0)) - 28


def test_every_sentence_is_there_twice_with_the_same_names_to_fill_in():
    for english, spanish in run.WORDS.values():
        named = [
            {name for _, name, *_ in string.Formatter().parse(text) if name} for text in (english, spanish)
        ]
        assert named[0] == named[1]


def test_both_readmes_tell_the_same_figures():
    def figures(name: str, point: str, space: str) -> list[str]:
        text = (EXAMPLE / name).read_text(encoding="utf-8").replace("last 16", "octavos")
        told = text.split("2026", 1)[1]  # what came out
        return sorted(re.findall(r"\d+", re.sub(rf"(?<=\d){space}(?=\d{{3}})", "", told).replace(point, ".")))

    assert figures("README.md", ".", ",") == figures("README.es.md", ",", " ")


# ---------------------------------------------------------------- the whole program
@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """150 weeks of the 32 teams up to the tournament."""
    matches = league(run.TEAMS, 150, first="2020-01-01")
    assert matches[-1].date < "2022-11-21"
    return write(tmp_path_factory.mktemp("football") / "results.csv.gz", matches)


def test_the_program_makes_its_files_and_tells_its_figures(results, tmp_path, capsys):
    began = time.perf_counter()
    words = [str(results), "--out", str(tmp_path / "out"), "--tournaments", "300", "--from", "2022-01-01"]
    assert run.main(words) == 0
    assert time.perf_counter() - began < 60
    said = capsys.readouterr().out
    rows = rows_of(tmp_path / "out" / "matches.csv")
    assert list(rows[0]) == ["date", "home_team", "away_team", *football.NUMBERS, "outcome", "split"]
    assert {row["split"] for row in rows if row["date"] >= "2022-01-01"} == {"test"}
    earlier = [row["split"] for row in rows if row["date"] < "2022-01-01"]
    assert earlier == sorted(earlier)  # 'train' and then 'validation'
    assert set(earlier) == {"train", "validation"}
    shares = rows_of(tmp_path / "out" / "tournament.csv")
    assert [sum(float(row[stage]) for row in shares) for stage in run.STAGES] == pytest.approx(
        [16, 8, 4, 2, 1]
    )
    assert fromstring((tmp_path / "out" / "tournament.svg").read_bytes()).tag.endswith("svg")
    for promised in (
        "log loss: ",
        "ranked probability score: 0.",
        "calibration error: 0.",
        "accuracy: ",
        "points of",
    ):
        assert promised in said
    assert Path(said.split("report: ")[1].splitlines()[0]).is_file()
    assert len(said.split("champion\n")[1].splitlines()) == 10 + 2

    with language.speaking("es"):  # both runs are finished, so they are read and not trained again
        assert run.main(words) == 0
    assert re.search(r"pérdida logarítmica: \d,\d{4}, un ", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(["--from", "2022-11-21"], "must not be later", id="after the first day"),
        pytest.param(["--tournaments", "0"], "at least 1", id="no tournament"),
        pytest.param(["--from", "soon"], "--from", id="no day"),
    ],
)
def test_an_option_that_cannot_be_is_told(results, tmp_path, capsys, words, told):
    with pytest.raises(SystemExit) as left:
        run.main([str(results), "--out", str(tmp_path / "out"), *words])
    assert left.value.code == 2
    assert told in capsys.readouterr().err


def test_results_that_cannot_be_used_are_told_in_a_sentence(results, tmp_path):
    (tmp_path / "columns.csv").write_text("date,home_team\n2020-01-01,A\n")
    (tmp_path / "packed.csv.gz").write_bytes(results.read_bytes()[:2000])
    few = [match for match in football.read_matches(results) if "Wales" not in match[1:3]]
    asked = {
        "absent.csv": "cannot be read",
        "columns.csv": "lacks these columns: away_team, home_score, away_score",
        "packed.csv.gz": "cannot be read",
        write(tmp_path / "few.csv.gz", few).name: "2022-11-20: Wales.",
        write(tmp_path / "early.csv.gz", few[:800]).name: "so nothing can be tested",
    }
    for name, sentence in asked.items():
        with pytest.raises(SystemExit, match=sentence):
            run.main([str(tmp_path / name), "--out", str(tmp_path / "out"), "--from", "2022-01-01"])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_real_matches_are_told_better_than_by_how_often_each_outcome_occurs(real_data, tmp_path, capsys):
    source = real_data / "football" / "results-to-2022.csv.gz"
    if not source.is_file():
        pytest.skip(f"{source} is not on this machine")
    assert run.main([str(source), "--out", str(tmp_path / "out")]) == 0
    test = json.loads((tmp_path / "out" / "model" / "metrics.json").read_text(encoding="utf-8"))["metrics"][
        "test"
    ]
    assert test["n"] == 7052
    assert test["log_loss"] < 0.91 * test["baselines"]["most_common"]["log_loss"]
    shares = rows_of(tmp_path / "out" / "tournament.csv")
    assert len(shares) == 32 and float(shares[0]["champion"]) < 0.5
