"""The simple answers, against scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.preprocessing import StandardScaler

from vistazo.tabular import baselines
from vistazo.tabular.inputs import Encoded

RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.normal(0, 3, (300, 5)).astype(np.float32)
CODES = RANDOM.integers(0, 3, (300, 1))
LEARNT, ASKED = Encoded(NUMBERS[:200], CODES[:200]), Encoded(NUMBERS[200:], CODES[200:])
PLANE = NUMBERS @ [1, 2, 0, 0, -1] + CODES[:, 0]


def design(rows):
    return np.concatenate([rows.numbers, np.eye(3)[rows.codes[:, 0]]], axis=1)


def test_the_linear_model_of_classes_is_logistic_regression():
    labels = np.digitize(PLANE + RANDOM.normal(0, 2, 300), [-4, 4])
    found = baselines.linear_classes(LEARNT, labels[:200], 3, (3,), ASKED)
    scaler = StandardScaler().fit(design(LEARNT))
    theirs = LogisticRegression(max_iter=1000).fit(scaler.transform(design(LEARNT)), labels[:200])
    np.testing.assert_allclose(found, theirs.predict_proba(scaler.transform(design(ASKED))), atol=5e-3)


def test_the_linear_model_of_numbers_is_ridge_regression():
    values = PLANE + RANDOM.normal(0, 1, 300)
    found = baselines.linear_numbers(LEARNT, values[:200], (3,), ASKED)
    scaler = StandardScaler().fit(design(LEARNT))
    theirs = RidgeCV(10.0 ** np.arange(-2, 5)).fit(scaler.transform(design(LEARNT)), values[:200])
    np.testing.assert_allclose(found, theirs.predict(scaler.transform(design(ASKED))), atol=0.05)


def test_frequencies_are_shares():
    assert baselines.frequencies(np.array([0, 2, 2, 2]), 3).tolist() == pytest.approx([0.25, 0, 0.75])
