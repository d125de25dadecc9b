"""Forecasting on the sales tutorial's series, beside every baseline; time, memory and many series.

    python benchmarks/series.py accuracy|published|speed|many        (all of them without a word)

Asked: (accuracy) models chosen on rolling origins before the last 120 rows; on those rows, horizon 7, 5 seeds, mean
absolute error >= 8 % below the best listed baseline and >= 20 % below same-weekday; 80 % intervals cover 70 to 90 %.
(published) the last 30 windows, one step ahead: st1, stmv, ste within their spread of 38.8, 41.2, 28.4.
(speed) train + report <= 15 s whole process; forecast from a warm model <= 5 ms. (many) 10,000 series x 1,000 days
within 2 GB, linear in rows.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import DATA, told, vistazo

SALES = DATA / "ventas" / "time_series.csv"
SEEDS = range(5)


def accuracy() -> None:
    """The default network and the richer ones: chosen by the validation column, the test column told beside it."""
    for model in ("tide", "dlinear", "lstm", "transformer"):
        runs = _runs(model, "--test", "120")
        print(f"\n{model}, test part of 120 rows, horizon 7, {len(runs)} seeds")
        for part in ("validation", "test"):
            figures = [one["metrics"][part] for one in runs]
            errors = [one["mae"] for one in figures]
            mean = statistics.mean(errors)
            print(f"  {part}: MAE {mean:.2f} ({min(errors):.2f} to {max(errors):.2f}), "
                  f"in the 80 % interval {statistics.mean(one['coverage'] for one in figures):.3f}")  # fmt: skip
            for name, one in figures[0]["baselines"].items():
                print(
                    f"    {name:24} {one['mae']:6.2f}   the network is {100 * (1 - mean / one['mae']):5.1f} % below"
                )


def published() -> None:
    """One step ahead on the last 30 rows, reported once."""
    for model in ("st1", "stmv", "ste", "tide"):
        runs = _runs(model, "--test", "30", "--horizon", "1")
        errors = [one["metrics"]["test"]["mae"] for one in runs]
        print(f"{model:12} MAE {statistics.mean(errors):.1f} ± {statistics.pstdev(errors):.1f} "
              f"{[round(one, 1) for one in errors]}, {runs[0]['parameters']} parameters")  # fmt: skip
    for name, one in runs[0]["metrics"]["test"]["baselines"].items():
        print(f"{name:24} {one['mae']:.1f}")


def speed() -> None:
    """Whole processes; then a forecast from a loaded model."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        runs = [vistazo("train", str(SALES), "--seed", str(seed), cwd=place) for seed in range(3)]
        print(told("train + report, whole process", [one.seconds for one in runs], "s"))
        print(told("most resident memory", [one.memory for one in runs], "MB"))
        from vistazo import load

        model = load(place / runs[0].json()["model"])
        list(model.predict())
        spent = []
        for _ in range(200):
            began = time.perf_counter()
            list(model.predict())
            spent.append(1000 * (time.perf_counter() - began))
        print(told("forecast of 7 days from a warm model", spent, "ms"))


def many() -> None:
    """Series of 1,000 days: twice the series should take twice the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        for count in (2_500, 5_000, 10_000):
            path = Path(folder) / f"{count}.csv"
            _write_many(path, count)
            run = vistazo("train", str(path), "--series", "shop", cwd=Path(folder))
            figures = run.json()["metrics"]["test"]
            print(f"{count} series x 1,000 days ({path.stat().st_size / 1e6:.0f} MB): {run.seconds:.1f} s, "
                  f"{run.memory:.0f} MB, MAE {figures['mae']:.2f} beside {figures['best_baseline']} "
                  f"{figures['baselines'][figures['best_baseline']]['mae']:.2f}", flush=True)  # fmt: skip


def _runs(model: str, *words: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        return [
            vistazo(
                "train", str(SALES), "--model", model, "--seed", str(seed), *words, cwd=Path(folder)
            ).json()
            for seed in SEEDS
        ]


def _write_many(path: Path, count: int) -> None:
    """Shops with a level, a week and a year of their own, and noise."""
    generator = np.random.default_rng(0)
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + 1000)
    words = days.astype(str)
    week, year = (days.astype(int) + 3) % 7, 2 * np.pi * np.arange(1000) / 365.25
    with open(path, "w", encoding="utf-8") as file:
        file.write("date,shop,units\n")
        for shop in range(count):
            level = generator.uniform(20, 200)
            usual = generator.uniform(0.5, 1.5, 7)[week] * (1 + 0.3 * np.sin(year + generator.uniform(0, 6)))
            units = generator.poisson(level * usual)
            file.writelines(
                f"{day},s{shop},{unit}\n" for day, unit in zip(words, units.tolist(), strict=True)
            )


def main() -> None:
    parts = {"accuracy": accuracy, "published": published, "speed": speed, "many": many}
    for name in sys.argv[1:] or parts:
        print(f"-- {name}")
        parts[name]()


if __name__ == "__main__":
    main()
