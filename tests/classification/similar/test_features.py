"""Features are what the last linear layer is given, for every registered network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vistazo.classification.classifier import Classifier
from vistazo.classification.models import create, models
from vistazo.classification.similar import features
from vistazo.classification.similar.published import knows_classes, published
from vistazo.engine.device import Compute
from vistazo.errors import SourceError
from vistazo.networks.packed import PackedLinear
from vistazo.pictures.loading import Normaliser

# smaller than the listing's example where that is large: the layers are the same
SMALL = {
    "quickdraw_cnn": {"height": 24, "width": 32},
    "efficientnet_lite0": {"height": 32, "width": 32, "size": 32, "classes": 3},
}


def classifier(name, views=((0, 0, False),), **others):
    arguments = {**models[name].example, **SMALL.get(name, {}), **others}
    torch.manual_seed(0)
    network = create(name, arguments)
    with torch.no_grad():
        network.head.weight.normal_()  # some begin with zeros
    channels = arguments["channels"]
    return Classifier(
        network=network,
        model=name,
        arguments=arguments,
        classes=tuple(f"c{at}" for at in range(arguments["classes"])),
        normaliser=Normaliser.unit(channels),
        size=(arguments["height"], arguments["width"], channels),
        views=views,
        compute=Compute("cpu", "fp32", "channels_last", 1),
        objective="cross_entropy",
        smoothing=0.2,
    )


def pictures(model, count=3):
    return np.random.default_rng(0).integers(0, 256, (count, *model.size), np.uint8)


@pytest.mark.parametrize("name", list(models))
def test_the_head_makes_the_scores_of_the_features(name):
    model = classifier(name)
    seen = features.look(model, pictures(model))
    head = model.network.head
    scores = F.linear(torch.from_numpy(seen.features_ND), head.weight, head.bias).detach().numpy()
    if name == "airbench":
        scores = scores / 9  # as published
    assert seen.features_ND.dtype == np.float32
    assert seen.features_ND.shape == (3, head.in_features) == (3, features.width_of(model))
    np.testing.assert_allclose(scores, seen.scores_VNK[0], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("name", list(models))
def test_the_network_stays_as_it_was(name):
    model = classifier(name)
    model.network.train()
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    model.features(pictures(model))
    assert model.network.training
    after = model.network.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    for one in model.network.modules():
        assert not one._forward_hooks and not one._forward_pre_hooks


def test_the_hooks_go_when_a_picture_makes_the_network_fail():
    model = classifier("mnist_cnn")
    with pytest.raises(RuntimeError):
        features.look(model, np.zeros((1, 9, 9, 1), np.uint8))
    assert not any(one._forward_pre_hooks for one in model.network.modules())


def test_several_views_are_averaged_and_several_pieces_are_joined(monkeypatch):
    from vistazo.classification import classifier as module

    plain = classifier("fashion_cnn")
    moved = replace(plain, views=((0, 0, False), (1, 1, False)))
    given = pictures(plain, 5)
    alone = [features.look(replace(plain, views=(view,)), given).features_ND for view in moved.views]
    monkeypatch.setattr(module, "CHUNK", 2 * 28 * 28 / (64 * 64))  # two pictures at once
    together = features.look(moved, given)
    np.testing.assert_allclose(together.features_ND, np.mean(alone, axis=0), atol=1e-6)
    assert together.scores_VNK.shape == (2, 5, 10)


def test_the_members_of_a_packed_layer_stand_side_by_side():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = PackedLinear(2, 12, 4)

        def forward(self, pictures_NCHW):
            flat = pictures_NCHW.flatten(1)
            return self.head(torch.stack((flat, 2 * flat))).mean(0)

    model = replace(classifier("fashion_cnn"), network=Packed(), size=(3, 4, 1), classes=tuple("abcd"))
    given = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    found = model.features(given)
    flat = given.reshape(2, 12) / np.float32(255)
    np.testing.assert_allclose(found, np.concatenate([flat, 2 * flat], axis=1), rtol=1e-6)


def test_a_network_without_a_linear_layer_is_our_own_mistake():
    model = replace(classifier("fashion_cnn"), network=nn.Flatten())
    with pytest.raises(ValueError, match="no linear layer"):
        features.look(model, np.zeros((1, 28, 28, 1), np.uint8))


def test_no_pictures_have_no_features():
    model = classifier("fashion_cnn")
    assert model.features(np.zeros((0, 28, 28, 1), np.uint8)).shape == (0, 56)


def test_files_and_arrays_give_the_same_features(tmp_path, encoded):
    model = classifier("fashion_cnn")
    given = pictures(model, 2)
    for at, one in enumerate(given):
        (tmp_path / f"{at}.png").write_bytes(encoded(one[..., 0], "PNG"))
    np.testing.assert_array_equal(
        model.features([tmp_path / "0.png", tmp_path / "1.png"]), model.features(given)
    )
    (tmp_path / "2.png").write_text("no picture")
    with pytest.raises(SourceError, match=r"2\.png cannot be read"):
        model.features([tmp_path / "2.png"])


def test_vectors_have_length_1_and_nothing_stays_nothing():
    found = features.unit(np.array([[3, 4], [0, 0]], np.float32))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 0]])


def test_very_wide_features_are_narrowed_and_keep_their_angles():
    random = np.random.default_rng(0)
    wide = random.normal(size=(20, 3 * features.WIDEST)).astype(np.float32)
    wide[1] = wide[0] + 0.3 * wide[1]
    narrow = features.narrowed(wide)
    assert narrow.shape == (20, features.WIDEST)
    before, after = (
        features.unit(wide) @ features.unit(wide).T,
        features.unit(narrow) @ features.unit(narrow).T,
    )
    assert np.abs(before - after).max() < 5 / np.sqrt(features.WIDEST)
    np.testing.assert_array_equal(features.narrowed(wide[:, :7]), wide[:, :7])


def test_the_fingerprint_tells_models_apart_that_see_differently():
    model = classifier("fashion_cnn")
    same = classifier("fashion_cnn")
    assert features.fingerprint(model) == features.fingerprint(same)
    others = [
        replace(model, views=((0, 0, False), (1, 1, False))),
        replace(model, normaliser=Normaliser([1.0], [255.0])),
        replace(model, background="black"),
    ]
    with torch.no_grad():
        same.network.first.bias[0] += 1e-6
    assert len({features.fingerprint(one) for one in (model, same, *others)}) == 5


def test_the_published_network_sees_and_answers_nothing(photographs):
    model = published()
    assert not knows_classes(model)
    found = features.unit(model.features(photographs(2)))
    assert found.shape == (2, 1280)
    assert 0.1 < float(found[0] @ found[1]) < 0.99
