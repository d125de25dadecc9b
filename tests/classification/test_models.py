"""Every registered network keeps one contract, and those that were published have their published size."""

import json

import pytest
import torch

from vistazo.classification.models import create, models
from vistazo.classification.recipes import decide
from vistazo.engine.optimizers import build_optimizers
from vistazo.engine.parameters import count_parameters
from vistazo.errors import UnknownName

NAMES = list(models)
SIZES = [(28, 28, 1, 10), (40, 24, 3, 3)]
IDS = ["28x28 grey", "40x24 colour"]


def network(name, height, width, channels, classes):
    suited = models[name].suit(pictures=1000, epochs=2, height=height, width=width)
    if (
        "size" in suited
    ):  # what it enlarges pictures to, which changes the seconds and nothing that is asked here
        suited["size"] = 32
    data = {"channels": channels, "height": height, "width": width, "classes": classes}
    made = create(name, {**data, **suited})
    if hasattr(made, "whiten"):
        made.whiten(torch.randn(64, channels, height, width, generator=torch.Generator().manual_seed(0)))
    return made


def test_the_digits_network_has_as_many_parameters_as_published():
    # 32·(3·3·1+1) + 100·(32·13·13+1) + 10·(100+1), by hand; Keras' `model.summary()` says 542,230.
    counted = count_parameters(create("mnist_cnn", models["mnist_cnn"].example))
    assert 32 * 10 + 100 * (32 * 13 * 13 + 1) + 10 * 101 == 542_230
    assert (counted.total, counted.trainable) == (542_230, 542_230)
    assert (counted.statistics, counted.frozen) == (0, 0)


def test_parameters_are_counted_apart_by_how_they_come_about():
    counted = count_parameters(create("airbench", models["airbench"].example))
    # Seven 3×3 convolutions from the whitening's 16 channels on, two biases a group, a head without bias.
    inputs, outputs = (16, 32, 32, 64, 64, 64), (32, 32, 64, 64, 64, 64)
    filters = sum(9 * into * out for into, out in zip(inputs, outputs, strict=True))
    assert counted.trainable == filters + sum(outputs) + 64 * 10
    assert counted.statistics == 2 * sum(outputs)
    assert counted.frozen == 16 * 9
    assert counted.total == counted.trainable + counted.statistics + counted.frozen


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES, ids=IDS)
def test_one_score_a_class(name, size):
    height, width, channels, classes = size
    made = network(name, *size).eval()
    for count in (1, 5):
        scores = made(torch.randn(count, channels, height, width))
        assert scores.shape == (count, classes)
        assert scores.dtype == torch.float32
        assert scores.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_pictures_answer_does_not_depend_on_its_neighbours(name):
    made = network(name, *SIZES[0]).eval()
    pictures = torch.randn(4, 1, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(made(pictures)[:1], made(pictures[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_every_trainable_parameter_is_in_exactly_one_group(name):
    made = network(name, *SIZES[0])
    grouped = [id(one) for group in models[name].groups(made, 64) for one in group.parameters]
    assert sorted(grouped) == sorted(id(one) for one in made.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_bring_the_loss_down(name):
    torch.manual_seed(0)
    made = network(name, *SIZES[0])
    pictures, labels = torch.randn(64, 1, 28, 28), torch.arange(64) % 10
    optimizers = build_optimizers(models[name].groups(made, 64))
    losses = []
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(made(pictures), labels)
        for one in optimizers:
            one.zero_grad()
        loss.backward()
        for one in optimizers:
            one.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_state_gives_the_same_answers(name):
    made = network(name, *SIZES[1]).eval()
    suited = models[name].suit(pictures=1000, epochs=2, height=40, width=24)
    if "size" in suited:
        suited["size"] = 32
    arguments = {"channels": 3, "height": 40, "width": 24, "classes": 3, **suited}
    again = create(name, json.loads(json.dumps(arguments))).eval()
    again.load_state_dict(made.state_dict())
    pictures = torch.randn(3, 3, 40, 24)
    with torch.no_grad():
        assert torch.equal(made(pictures), again(pictures))


@pytest.mark.parametrize("name", NAMES)
def test_the_listing_can_count_every_network(name):
    entry = models[name]
    assert count_parameters(entry.build(**entry.example)).total > 0
    assert entry.source


def test_an_unknown_argument_is_our_own_fault_and_an_unknown_name_the_users():
    with pytest.raises(TypeError):
        create("mnist_cnn", {**models["mnist_cnn"].example, "command": "touch canary"})
    with pytest.raises(UnknownName, match="Known: airbench, cifar_cnn, efficientnet_lite0, fashion_cnn"):
        create("os.system", {"command": "touch canary"})


def test_recipes_and_models_name_one_another():
    assert decide.__module__ == "vistazo.classification.recipes"
    from vistazo.classification.recipes import recipes

    assert {recipes[name].model for name in recipes} <= set(NAMES)
