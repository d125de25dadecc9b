"""Who wins a match, and who wins the world cup of 2022: twelve numbers, a model, 10,000 tournaments.

    python examples/football/run.py results.csv.gz --out football

The results are those of github.com/martj42/international_results. The folder gets

    matches.csv     the table that is learnt from (football.py makes its rows)
    model/          the run: model.vistazo, report.html
    latest/         a second model that has also seen the matches up to the tournament
    tournament.csv  how often each team came how far
    tournament.svg  how often each of the best 16 became champion
"""

from __future__ import annotations

import argparse
import csv
import datetime
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import click
import numpy as np
from football import NUMBERS, OUTCOMES, Match, Record, form, numbers, read_matches, table
from numpy.typing import NDArray

import vistazo
from vistazo.engine.reports import number, percent
from vistazo.errors import VistazoError
from vistazo.language import current
from vistazo.platform import safe_streams

Floats = NDArray[np.float64]

FIRST_DAY = "2022-11-20"
GROUPS = {  # as they were drawn
    "A": ("Qatar", "Ecuador", "Senegal", "Netherlands"),
    "B": ("England", "Iran", "United States", "Wales"),
    "C": ("Argentina", "Saudi Arabia", "Mexico", "Poland"),
    "D": ("France", "Australia", "Denmark", "Tunisia"),
    "E": ("Spain", "Costa Rica", "Germany", "Japan"),
    "F": ("Belgium", "Canada", "Morocco", "Croatia"),
    "G": ("Brazil", "Serbia", "Switzerland", "Cameroon"),
    "H": ("Portugal", "Ghana", "Uruguay", "South Korea"),
}
# The first of group A against the second of group B, and so on. The winners of the first two matches meet in a
# quarter-final, those of the next two likewise, and so on to the final.
ROUND_OF_16 = (
    *(("A", 1), ("B", 2), ("C", 1), ("D", 2), ("E", 1), ("F", 2), ("G", 1), ("H", 2)),
    *(("B", 1), ("A", 2), ("D", 1), ("C", 2), ("F", 1), ("E", 2), ("H", 1), ("G", 2)),
)
STAGES = ("round_of_16", "quarter_final", "semi_final", "final", "champion")

TEAMS = tuple(team for group in GROUPS.values() for team in group)
GROUP_OF = {team: name for name, group in GROUPS.items() for team in group}

WORDS = {  # what the program says: in English, in Spanish
    "about": ("Forecast football matches and play out the world cup of 2022.",
              "Pronostica partidos de fútbol y juega el mundial de 2022."),
    "results": ("CSV file of results, packed (.gz) or not", "archivo CSV de resultados, comprimido (.gz) o no"),
    "out": ("folder for all that is made", "carpeta para todo lo que se crea"),
    "tournaments": ("tournaments to play out", "torneos que se juegan"),
    "seed": ("number that everything random is drawn from", "número del que sale todo el azar"),
    "from": ("matches from this day on are the test", "los partidos desde este día son la prueba"),
    "refit": ("train a second model up to the tournament", "entrenar un segundo modelo hasta el torneo"),
    "read": ("{path}: {n} matches, and in {rows} of them both teams have 30 matches behind them",
             "{path}: {n} partidos, y en {rows} de ellos ambos equipos llevan ya 30 partidos"),
    "tested": ("test on {n} matches from {day} on, none of them learnt from:",
               "prueba con {n} partidos desde el {day}, de los que no ha aprendido:"),
    "log_loss": ("log loss", "pérdida logarítmica"),
    "below": ("{share} below that of always answering how often each outcome occurs ({loss})",
              "un {share} por debajo de la de responder siempre con la frecuencia de cada resultado ({loss})"),
    "above": ("{share} above that of always answering how often each outcome occurs ({loss})",
              "un {share} por encima de la de responder siempre con la frecuencia de cada resultado ({loss})"),
    "rps": ("ranked probability score", "puntuación de probabilidad ordenada (RPS)"),
    "calibration_error": ("calibration error", "error de calibración"),
    "accuracy": ("accuracy", "exactitud"),
    "report": ("report", "informe"),
    "again": ("training once more, on every match before the tournament ...",
              "entrenando otra vez, con todos los partidos anteriores al torneo ..."),
    "played": ("world cup of 2022, played out {n} times; in how many of them each team came how far:",
               "mundial de 2022, jugado {n} veces; en cuántas llegó cada selección hasta dónde:"),
    "team": ("team", "selección"),
    "group": ("group", "grupo"),
    "round_of_16": ("last 16", "octavos"),
    "quarter_final": ("quarter-final", "cuartos"),
    "semi_final": ("semi-final", "semifinal"),
    "final": ("final", "final"),
    "champion": ("champion", "campeón"),
    "luck": ("Counting {n} tournaments leaves ±{luck} points of chance in {team}'s share (95 %). What the model gets "
             "wrong is not in that, and is more.",
             "Contar {n} torneos deja un azar de ±{luck} puntos en la cifra de {team} (95 %). Ahí no entra lo que el "
             "modelo calcula mal, que es más."),
    "title": ("Champion of the world cup of 2022", "Campeón del mundial de 2022"),
    "subtitle": ("share of {n} simulated tournaments", "parte de {n} torneos simulados"),
    "foot": ("Chance of the simulation: at most ±{luck} points. The model's own error comes on top.",
             "Azar de la simulación: ±{luck} puntos como mucho. A eso se suma el error del modelo."),
    "no_test": ("There is no match from {day} on whose teams both have 30 matches behind them, so nothing can be "
                "tested. Give an earlier --from.",
                "No hay ningún partido desde el {day} en el que ambos equipos lleven ya 30, así que no hay con qué "
                "probar. Da un --from anterior."),
    "too_late": ("--from must not be later than the tournament's first day, {day}: the model would know its results.",
                 "--from no puede ser posterior al primer día del torneo, {day}: el modelo conocería sus resultados."),
    "too_few": ("--tournaments must be at least 1 and --seed at least 0.",
                "--tournaments debe ser al menos 1 y --seed al menos 0."),
    "unknown": ("These teams have fewer than 30 matches before {day}: {teams}. Give a file with more results.",
                "Estas selecciones tienen menos de 30 partidos antes del {day}: {teams}. Da un archivo con más "
                "resultados."),
    "unreadable": ("{path} cannot be read ({reason}). Get it again from github.com/martj42/international_results.",
                   "No se puede leer {path} ({reason}). Descárgalo otra vez de "
                   "github.com/martj42/international_results."),
    "columns": ("{path} lacks these columns: {missing}. Get it again from github.com/martj42/international_results.",
                "A {path} le faltan estas columnas: {missing}. Descárgalo otra vez de "
                "github.com/martj42/international_results."),
}  # fmt: skip


def word(name: str, **values: object) -> str:
    """One of WORDS in the language in force, its {names} filled in."""
    english, spanish = WORDS[name]
    return (spanish if current() == "es" else english).format(**values)


# ---------------------------------------------------------------- learning
def rows_in_parts(matches: Sequence[Match], start: str) -> list[dict[str, str | int]]:
    """The table, with the column `split`: what is learnt from is older than what it is tested with.

    From `start` on it is the test. Of the rest the latest tenth is for validation: a rehearsal of the test.
    """
    rows = list(table(matches))
    earlier = [str(row["date"]) for row in rows if str(row["date"]) < start]
    rehearsal = earlier[len(earlier) * 9 // 10] if earlier else start
    for row in rows:
        day = str(row["date"])
        row["split"] = "test" if day >= start else "validation" if day >= rehearsal else "train"
    return rows


def learn(
    source: Path | list[dict[str, str | int]], out: Path, seed: int, **settings: Any
) -> vistazo.Trained:
    """A model of the outcome from the twelve numbers. The order of outcomes matters to the ranked score alone."""
    return vistazo.train(
        source, task="tabular", target="outcome", ordered=",".join(OUTCOMES), seed=seed, out=out, **settings
    )


def told(trained: vistazo.Trained, start: str) -> list[str]:
    """What the test says, line by line."""
    test = trained.metrics["test"]
    blind = test["baselines"]["most_common"]["log_loss"]  # of answering with the training part's frequencies
    below = 1 - test["log_loss"] / blind
    beside = word("below" if below >= 0 else "above", share=percent(abs(below)), loss=number(blind, 4))
    figures = {
        "log_loss": f"{number(test['log_loss'], 4)}, {beside}",
        "rps": number(test["rps"], 4),
        "calibration_error": number(test["calibration_error"], 4),
        "accuracy": percent(test["accuracy"]),
        "report": str(trained.report),
    }
    heading = word("tested", n=number(test["n"]), day=start)
    return [heading, *(f"  {word(name)}: {value}" for name, value in figures.items())]


# ---------------------------------------------------------------- the tournament
def pair_probabilities(model: Any, records: Mapping[str, Record]) -> tuple[Floats, Floats]:
    """How likely each team of TEAMS beats each other one, and how likely they draw: two arrays (32, 32).

    The model knows a local side and a visitor, and the local side has an advantage. A world cup is played on neutral
    ground (but for the host), so each pair is asked for both ways round and the mean is taken: neither has it then.
    """
    pairs = list(permutations(range(len(TEAMS)), 2))
    answers = model.predict([numbers(records[TEAMS[one]], records[TEAMS[other]]) for one, other in pairs])
    chance = np.zeros((len(TEAMS), len(TEAMS), len(OUTCOMES)))
    for (one, other), answer in zip(pairs, answers, strict=True):
        by_name = dict(answer["top"])
        chance[one, other] = [by_name[name] for name in OUTCOMES]
        chance[one, other] /= chance[one, other].sum()  # the answers are rounded to six digits
    local, draw, visitor = np.moveaxis(chance, 2, 0)
    return (local + visitor.T) / 2, (draw + draw.T) / 2


def play(wins: Floats, draws: Floats, *, tournaments: int, seed: int) -> Floats:
    """The share of tournaments in which each team reaches each of STAGES, (32, 5).

    wins, draws: (32, 32), as `pair_probabilities` gives them. Every tournament is played at once: a match is one
    random number for each of them.

    Groups are ranked by points, and teams with equal points at random: the model tells no goals. A draw in a
    knock-out match is decided half and half, as if by tossing a coin.
    """
    random = np.random.default_rng(seed)
    points = np.zeros((tournaments, len(TEAMS)))
    for first in range(0, len(TEAMS), 4):
        for one, other in combinations(range(first, first + 4), 2):
            luck = random.random(tournaments)
            won = luck < wins[one, other]
            drawn = ~won & (luck < wins[one, other] + draws[one, other])
            points[:, one] += 3 * won + drawn
            points[:, other] += 3 * ~(won | drawn) + drawn
    points += random.random(points.shape)  # less than one point: it only parts equals
    ranked = np.argsort(-points.reshape(tournaments, len(GROUPS), 4), axis=2)
    ranked += 4 * np.arange(len(GROUPS))[:, None]  # places in a group → places in TEAMS

    names = list(GROUPS)
    left = np.stack([ranked[:, names.index(group), place - 1] for group, place in ROUND_OF_16], axis=1)
    reached = [left]
    while left.shape[1] > 1:
        upper, lower = left[:, 0::2], left[:, 1::2]
        goes_on = random.random(upper.shape) < wins[upper, lower] + draws[upper, lower] / 2
        left = np.where(goes_on, upper, lower)
        reached.append(left)
    counts = [np.bincount(stage.ravel(), minlength=len(TEAMS)) for stage in reached]
    return np.stack(counts, axis=1) / tournaments


def luck_of(share: float, tournaments: int) -> float:
    """Half the width of the 95 % interval that counting so many tournaments leaves, in points of a hundred."""
    return float(100 * 1.96 * np.sqrt(share * (1 - share) / tournaments))


# ---------------------------------------------------------------- telling
def best_first(shares: Floats) -> list[int]:
    """The places in TEAMS, the most frequent champion first."""
    return [int(at) for at in np.lexsort([-shares[:, stage] for stage in range(len(STAGES))])]


def best_ten(shares: Floats) -> list[str]:
    """The ten most frequent champions, as lines of a table."""
    cells = [[word("team"), word("group"), *map(word, STAGES)]]
    for at in best_first(shares)[:10]:
        cells.append([TEAMS[at], GROUP_OF[TEAMS[at]], *(percent(float(share)) for share in shares[at])])
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return [
        f"  {row[0]:{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in cells
    ]


def chart(shares: Floats, tournaments: int) -> str:
    """Horizontal bars of the 16 most frequent champions, as SVG."""
    order = best_first(shares)[:16]
    most = float(shares[order[0], -1])
    step, left, longest, top = 26, 150, 470, 72
    height = top + step * len(order) + 40
    luck = max(luck_of(float(share), tournaments) for share in shares[:, -1])
    subtitle, foot = word("subtitle", n=number(tournaments)), word("foot", luck=number(luck, 1))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {height}" width="720" height="{height}" '
        f'role="img" lang="{current()}" font-family="system-ui, sans-serif" font-size="14" fill="#1f2933">',
        f"<title>{escape(word('title'))}</title>",
        f'<rect width="720" height="{height}" fill="#ffffff"/>',
        f'<text x="24" y="32" font-size="17" font-weight="600">{escape(word("title"))}</text>',
        f'<text x="24" y="52" fill="#52606d">{escape(subtitle)}</text>',
    ]
    for row, at in enumerate(order):
        share, y = float(shares[at, -1]), top + step * row
        width = longest * share / most
        lines += [
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(TEAMS[at])}</text>',
            f'<rect x="{left}" y="{y}" width="{width:.1f}" height="20" rx="2" fill="#2f6f9f"/>',
            f'<text x="{left + width + 8:.1f}" y="{y + 15}">{escape(percent(share))}</text>',
        ]
    lines += [
        f'<text x="24" y="{height - 16}" font-size="12" fill="#52606d">{escape(foot)}</text>',
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


# ---------------------------------------------------------------- the program
def options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=word("about"))
    parser.add_argument("results", type=Path, help=word("results"))
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=word("out"))
    parser.add_argument("--tournaments", type=int, default=10_000, metavar="N", help=word("tournaments"))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=word("seed"))
    parser.add_argument(
        "--from",
        dest="start",
        type=datetime.date.fromisoformat,
        default=datetime.date(2015, 1, 1),
        metavar="YYYY-MM-DD",
        help=word("from"),
    )
    parser.add_argument("--refit", action=argparse.BooleanOptionalAction, default=True, help=word("refit"))
    asked = parser.parse_args(words)
    asked.start = str(asked.start)
    if asked.tournaments < 1 or asked.seed < 0:
        parser.error(word("too_few"))
    if asked.start > FIRST_DAY:
        parser.error(word("too_late", day=FIRST_DAY))
    return asked


def read(path: Path) -> list[Match]:
    """The matches of a file; leaves the program with a sentence where it is none."""
    try:
        return read_matches(path)
    except (OSError, EOFError, UnicodeError, csv.Error, zlib.error) as error:
        raise SystemExit(word("unreadable", path=path, reason=error)) from None
    except ValueError as error:
        raise SystemExit(word("columns", path=path, missing=error)) from None


def forecast(asked: argparse.Namespace) -> None:
    """All of it, in order."""
    matches = read(asked.results)
    rows = rows_in_parts(matches, asked.start)
    if not any(row["split"] == "test" for row in rows):
        raise SystemExit(word("no_test", day=asked.start))
    records = form(matches, FIRST_DAY)
    if unknown := [team for team in TEAMS if team not in records]:
        raise SystemExit(word("unknown", day=FIRST_DAY, teams=", ".join(unknown)))
    asked.out.mkdir(parents=True, exist_ok=True)
    source = asked.out / "matches.csv"
    write_csv(source, list(rows[0]), (list(row.values()) for row in rows))
    click.echo(word("read", path=source, n=number(len(matches)), rows=number(len(rows))))

    # The column `split` says what is learnt from. Neither the day nor the teams' names are: the names because the
    # numbers are to speak for them, the day (kept out by being the order) because it is later than any day learnt.
    trained = learn(source, asked.out / "model", asked.seed, order="date", leave_out="home_team,away_team")
    click.echo("\n".join(told(trained, asked.start)))

    if asked.refit:
        click.echo(word("again"))
        before = [row for row in rows if str(row["date"]) < FIRST_DAY]
        columns = [{name: row[name] for name in (*NUMBERS, "outcome")} for row in before]
        nothing_aside: dict[str, Any] = {"test_share": 0.0, "validation_share": 0.0}
        trained = learn(columns, asked.out / "latest", asked.seed, **nothing_aside, quiet=True)

    wins, draws = pair_probabilities(vistazo.load(trained.model), records)
    shares = play(wins, draws, tournaments=asked.tournaments, seed=asked.seed)
    order = best_first(shares)
    write_csv(
        asked.out / "tournament.csv",
        ["team", "group", *STAGES],
        ([TEAMS[at], GROUP_OF[TEAMS[at]], *shares[at].tolist()] for at in order),
    )
    picture = asked.out / "tournament.svg"
    picture.write_text(chart(shares, asked.tournaments), encoding="utf-8")
    played = number(asked.tournaments)
    luck = luck_of(float(shares[order[0], -1]), asked.tournaments)
    click.echo(word("played", n=played))
    click.echo("\n".join(best_ten(shares)))
    click.echo(word("luck", n=played, luck=number(luck, 1), team=TEAMS[order[0]]))
    click.echo(str(picture))


def main(words: Sequence[str] | None = None) -> int:
    """The exit status: 0, or that of Vistazo's errors, each of which is one sentence."""
    safe_streams()
    try:
        forecast(options(words))
    except VistazoError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
