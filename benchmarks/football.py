"""Football 2015 to 2022 after learning from earlier matches, beside scikit-learn on the same twelve columns.

    python benchmarks/football.py

Asked: log loss and ranked probability score no higher than multinomial logistic regression and histogram gradient
boosting, log loss >= 9 % below outcome frequencies, calibration error <= 0.03. scikit-learn learns from all earlier
matches, ours from nine tenths of them: the latest tenth is its validation part.
"""

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import DATA, ROOT
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import vistazo
from vistazo.tabular import metrics

sys.path.insert(0, str(ROOT / "examples" / "football"))
from football import NUMBERS, OUTCOMES, read_matches
from run import learn, rows_in_parts

FROM = "2015-01-01"


def main() -> None:
    rows = rows_in_parts(read_matches(DATA / "football" / "results-to-2022.csv.gz"), FROM)
    inputs = np.array([[row[name] for name in NUMBERS] for row in rows], dtype=float)
    labels = np.array([OUTCOMES.index(row["outcome"]) for row in rows])
    test = np.array([row["split"] == "test" for row in rows])
    shares = np.bincount(labels[~test], minlength=len(OUTCOMES)) / (~test).sum()
    told("outcome frequencies", np.tile(shares, (test.sum(), 1)), labels[test])
    for name, model in (
        ("multinomial logistic", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
        ("histogram gradient boosting", HistGradientBoostingClassifier(random_state=0)),
    ):
        model.fit(inputs[~test], labels[~test])
        told(name, model.predict_proba(inputs[test]), labels[test])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matches.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        for seed in range(3):
            out = Path(folder) / f"run-{seed}"
            trained = learn(path, out, seed, order="date", leave_out="home_team,away_team", quiet=True)
            answers = vistazo.load(trained.model).predict(
                [
                    {name: row[name] for name in NUMBERS}
                    for row, chosen in zip(rows, test, strict=True)
                    if chosen
                ]
            )
            found = np.array([[dict(answer["top"])[name] for name in OUTCOMES] for answer in answers])
            told(f"vistazo, seed {seed}", found / found.sum(1, keepdims=True), labels[test])


def told(name: str, probabilities: np.ndarray, labels: np.ndarray) -> None:
    figures = metrics.measure_classes(probabilities, labels)
    print(
        f"{name:28} log loss {figures['log_loss']:.4f}  rps {figures['rps']:.4f}  "
        f"calibration error {figures['calibration_error']:.4f}  accuracy {figures['accuracy']:.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
