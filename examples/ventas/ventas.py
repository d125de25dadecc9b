"""The sales tutorial's three networks, richer ones and plain rules, on the tutorial's own series.

    python examples/ventas/ventas.py time_series.csv --out FOLDER

The tutorial validates on rows that its networks have learnt from. Here every figure comes from rows that were not
learnt from, and beside it stands what the leak would have made one believe.
"""

import argparse
from pathlib import Path

import vistazo
from vistazo.language import current

PUBLISHED = ("st1", "stmv", "ste")
RICHER = ("tide", "dlinear", "lstm", "transformer")
WORDS = {
    "en": {
        "one": "One day ahead, the last 30 days. Mean absolute error in units:",
        "network": "network", "honest": "not learnt from", "leak": "learnt from (a leak)", "rule": "rule",
        "week": "A week ahead, the last 120 days. Mean absolute error in units, and the values its 80 % interval held:",
        "report": "The default network's report:", "next": "The next week:",
        "hid": "A network that has seen the answers looks better than it is. The tutorial's validation did that.",
    },
    "es": {
        "one": "Un día por delante, los últimos 30 días. Error absoluto medio en unidades:",
        "network": "red", "honest": "no aprendidos", "leak": "aprendidos (una fuga)", "rule": "regla",
        "week": "Una semana por delante, los últimos 120 días. Error absoluto medio en unidades, y los valores dentro "
                "de su intervalo del 80 %:",
        "report": "El informe de la red por defecto:", "next": "La semana siguiente:",
        "hid": "Una red que ha visto las respuestas parece mejor de lo que es. La validación del tutorial hacía eso.",
    },
}  # fmt: skip


def one_day_ahead(series: Path, out: Path, words: dict[str, str]) -> None:
    """What the tutorial measures, with and without the rows it hid nothing from."""
    print(words["one"])
    print(f"  {words['network']:12} {words['honest']:>16} {words['leak']:>22}")
    rules = {}
    for model in (*PUBLISHED, "tide"):
        settings = {"task": "forecasting", "model": model, "horizon": 1, "test": 30, "quiet": True}
        trained = vistazo.train(series, out=out / f"one-{model}", **settings)
        honest = trained.metrics["test"]
        # The network that is kept has learnt from all rows, the last 30 too: measured on them it is a leak.
        leak = vistazo.load(trained.model).evaluate(series, seen=True, last=30)["metrics"]
        print(f"  {model:12} {honest['mae']:16.1f} {leak['mae']:22.1f}")
        rules = honest["baselines"]
    for name, figures in rules.items():
        print(f"  {name:28} {figures['mae']:.1f}")
    print(words["hid"])


def a_week_ahead(series: Path, out: Path, words: dict[str, str]) -> None:
    """Every network on the last 120 days, none of which it was chosen or trained on."""
    print(f"\n{words['week']}")
    for model in (*RICHER, *PUBLISHED):
        trained = vistazo.train(
            series, out=out / f"week-{model}", task="forecasting", model=model, test=120, quiet=True
        )
        figures = trained.metrics["test"]
        print(f"  {model:28} {figures['mae']:6.1f} {100 * figures['coverage']:6.0f} %")
    for name, rule in figures["baselines"].items():
        print(f"  {name:28} {rule['mae']:6.1f}")
    default = out / "week-tide"
    print(f"\n{words['report']} {default / 'report.html'}\n{words['next']}")
    for answer in vistazo.load(default).predict():
        print(f"  {answer['date']} {answer['value']:6.0f}  ({answer['low']:.0f} – {answer['high']:.0f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    words = WORDS[current()]
    one_day_ahead(asked.series, asked.out, words)
    a_week_ahead(asked.series, asked.out, words)


if __name__ == "__main__":
    main()
