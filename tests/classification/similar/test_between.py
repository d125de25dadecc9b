"""Distances between classes and pictures far from their own, by hand."""

import numpy as np
import pytest

from vistazo.classification.similar.between import centres, centroid_distances, nearest_other, outliers
from vistazo.classification.similar.features import unit


def test_distances_between_the_centres_of_classes():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [0.6, -0.8]], np.float32)
    found = centroid_distances(centres(vectors, np.array([0, 1, 1, -1]), 3))
    # the second centre is the middle of (0.6, 0.8) and (0, 1)
    middle = np.array([0.3, 0.9]) / np.hypot(0.3, 0.9)
    assert found[0, 1] == found[1, 0] == pytest.approx(1 - middle[0], abs=1e-7)
    assert found[0, 0] == 0
    assert np.isnan(found[2]).all()


def test_the_class_of_the_nearest_other_picture():
    vectors = unit(np.array([[1, 0.0], [1, 0.1], [1, 0.3], [0, 1], [0.1, 1]], np.float32))
    found = nearest_other(vectors, np.array([0, 0, 1, 1, 1]), 2)
    # the first two are each other's nearest; the third's is of the first class, the last two are a pair
    np.testing.assert_allclose(found, [[1, 0], [1 / 3, 2 / 3]])


def test_a_copy_of_a_picture_is_another_picture():
    twice = unit(np.array([[1, 0], [1, 0], [0, 1], [0.1, 1]], np.float32))
    np.testing.assert_allclose(nearest_other(twice, np.array([0, 1, 0, 0]), 2), [[2 / 3, 1 / 3], [1, 0]])


def test_a_stranger_is_far_from_its_class_and_nearer_to_another():
    random = np.random.default_rng(0)
    groups = [np.eye(8)[at] + 0.05 * random.normal(size=(40, 8)) for at in (0, 3)]
    vectors = unit(np.concatenate(groups).astype(np.float32))
    label = np.repeat([0, 1], 40)
    label[5] = 1  # a wrong label
    found = outliers(vectors, label, 2)
    assert found[0].row == 5 and found[0].nearest == 0 and found[0].deviations > 10
    assert {one.row for one in found if one.deviations > 5} == {5}


def test_few_pictures_or_copies_have_no_outlier():
    vectors = unit(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))
    assert outliers(vectors, np.zeros(4, np.int64), 1) == []
    copies = np.repeat(vectors[:1], 20, axis=0)
    copies[0] = vectors[1]
    assert outliers(copies, np.zeros(20, np.int64), 1) == []
