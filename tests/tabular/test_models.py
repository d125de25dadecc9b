"""Every registered network: scores for each member, independent members, parameters as counted."""

import math

import pytest
import torch

from vistazo.errors import UnknownName
from vistazo.tabular.models import create, listing, models

ARGUMENTS = {"members": 3, "numbers": 4, "codes": [5, 3], "outputs": 2, "hidden": [8, 8], "dropout": 0.1}


@pytest.mark.parametrize("name", list(models))
def test_a_network_gives_one_score_a_class_for_each_member(name):
    torch.manual_seed(0)
    network = create(name, ARGUMENTS).eval()
    numbers, codes = torch.randn(7, 4), torch.randint(0, 3, (7, 2))
    scores = network(numbers, codes)
    assert scores.shape == (3, 7, 2)
    torch.testing.assert_close(
        scores[:, 2:3], network(numbers[2:3], codes[2:3])
    )  # rows do not see one another


@pytest.mark.parametrize("name", list(models))
@pytest.mark.parametrize(("numbers", "codes"), [(4, []), (0, [5])])
def test_columns_may_be_all_numbers_or_all_categories(name, numbers, codes):
    network = create(name, {**ARGUMENTS, "numbers": numbers, "codes": codes}).eval()
    found = network(torch.randn(2, numbers), torch.zeros(2, len(codes), dtype=torch.int64))
    assert found.isfinite().all()


@pytest.mark.parametrize("name", list(models))
def test_every_parameter_learns_in_one_group_and_only_biases_do_not_decay(name):
    network = create(name, ARGUMENTS)
    groups = models[name].groups(network, 0.01, 2.0)
    grouped = [one for group in groups for one in group.parameters]
    assert sorted(map(id, grouped)) == sorted(map(id, network.parameters()))
    decaying = {id(one) for group in groups if group.decay for one in group.parameters}
    names = {key for key, one in network.named_parameters() if id(one) in decaying}
    assert names == {key for key, _ in network.named_parameters() if "bias" not in key}
    value = create(name, {**ARGUMENTS, "outputs": 1})
    still = {
        id(one)
        for group in models[name].groups(value, 0.01, 2.0)
        if not group.decay
        for one in group.parameters
    }
    assert id(value.head.weight_MIO) in still  # a head that decays answers too near the mean


def test_a_member_alone_is_a_network_of_its_own():
    from vistazo.networks.packed import take_members

    torch.manual_seed(0)
    whole = create("mlp", ARGUMENTS).eval()
    one = create("mlp", {**ARGUMENTS, "members": 1}).eval()
    state = whole.state_dict()
    packed = {key: value for key, value in state.items() if not key.startswith("embeddings")}
    one.load_state_dict({**state, **take_members(packed, 1, 2)})
    numbers, codes = torch.randn(5, 4), torch.randint(0, 3, (5, 2))
    torch.testing.assert_close(one(numbers, codes)[0], whole(numbers, codes)[1])


def test_the_listing_counts_parameters():
    found = {one["name"]: one["parameters"] for one in listing()}
    assert found["mlp"] == 8 * ((10 * 128 + 128) + (128 * 128 + 128) + (128 + 1))
    assert set(found) == set(models)
    with pytest.raises(UnknownName, match="Did you mean 'mlp'"):
        create("mpl", {})


def test_residual_blocks_are_of_one_width():
    with pytest.raises(ValueError, match="one width"):
        create("residual", {**ARGUMENTS, "hidden": [8, 16]})


def test_a_small_table_decays_more_and_a_tiny_one_not_at_all():
    recipe = models["mlp"].training
    assert recipe(1000).decay == recipe(20).decay == 3
    assert recipe(50_000).decay == pytest.approx(3 * math.sqrt(1 / 50))
    assert recipe(4).decay == 0
