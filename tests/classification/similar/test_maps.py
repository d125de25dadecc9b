"""Maps: principal components of our own, t-SNE where scikit-learn is."""

import io

import numpy as np
import pytest
from PIL import Image

from vistazo.classification.similar.maps import Map, draw, pca, tsne


@pytest.mark.parametrize("shape", [(60, 9), (9, 60)])
def test_principal_components_are_scikit_learns(shape):
    decomposition = pytest.importorskip("sklearn.decomposition")
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values[:, 0] *= 3
    places, share = pca(values, 3)
    other = decomposition.PCA(3, svd_solver="full").fit(values.astype(np.float64))
    theirs = other.transform(values.astype(np.float64))
    signs = np.sign((places * theirs).sum(0))
    np.testing.assert_allclose(places, theirs * signs, atol=1e-9)
    np.testing.assert_allclose(share, other.explained_variance_ratio_, atol=1e-9)


def test_the_same_pictures_turned_round_give_the_same_map():
    values = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    np.testing.assert_allclose(pca(values, 2)[0][::-1], pca(values[::-1].copy(), 2)[0], atol=1e-9)


def test_equal_pictures_stand_in_one_place():
    places, share = pca(np.ones((4, 1), np.float32), 2)
    assert not places.any() and not share.any()


def test_t_sne_keeps_groups_together_and_repeats():
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(at, 0.1, (12, 6)) for at in (0, 5)]).astype(np.float32)
    places = tsne(values, seed=3)
    np.testing.assert_array_equal(places, tsne(values, seed=3))
    gap = np.linalg.norm(places[:12].mean(0) - places[12:].mean(0))
    assert gap > 2 * places[:12].std(0).max()
    assert tsne(values[:5], seed=0).shape == (5, 2)


def test_a_map_is_drawn_with_accents_and_unknown_classes():
    random = np.random.default_rng(0)
    one = Map("Mapa", random.normal(size=(50, 2)), "detalle")
    names = [f"año {at}" for at in range(45)]
    image = Image.open(io.BytesIO(draw(one, random.integers(-1, 45, 50), names, "Título")))
    assert image.size == (1600, 1200)
    assert len(image.convert("RGB").getcolors(1 << 20)) > 20
