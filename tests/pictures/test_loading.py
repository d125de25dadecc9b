import random

import numpy as np
import pytest
import torch

from vistazo import platform
from vistazo.pictures import loading
from vistazo.pictures.augmentation import Augmenter, flip_side, shifts
from vistazo.pictures.augments import Augment, operations
from vistazo.pictures.holding import PictureArray
from vistazo.pictures.loading import Normaliser, PictureBatches


def made(n=22, *, size=5, reach=2, flip=True, seed=3, height=6, width=8):
    pixels = np.random.default_rng(1).integers(0, 256, (n, height, width, 3), dtype=np.uint8)
    labels = torch.arange(n) * 10
    rows = np.arange(n) * 7 + 1000
    batches = PictureBatches(
        pixels, {"label": labels}, rows, size=size, reach=reach, flip=flip, seed=seed, device="cpu"
    )
    return batches, pixels


def parts_of(batch):
    return batch.inputs["pictures"], batch.targets["label"], batch.rows


def test_a_batch_is_the_same_whatever_was_drawn_before_it():
    straight, _ = made()
    places = [(epoch, step) for epoch in range(4) for step in range(straight.steps)]
    expected = {place: parts_of(straight.draw(*place)) for place in places}
    for seed in range(5):
        other, _ = made()
        shuffled = random.Random(seed).choices(places, k=30)
        for place in shuffled:
            assert all(map(torch.equal, parts_of(other.draw(*place)), expected[place])), place


def test_a_batch_that_was_written_on_is_drawn_again_as_it_was():
    batches, _ = made()
    first = parts_of(batches.draw(1, 2))
    kept = [one.clone() for one in first]
    for one in first:
        one.zero_()
    assert all(map(torch.equal, parts_of(batches.draw(1, 2)), kept))


@pytest.mark.parametrize(
    ("n", "size", "steps", "length"),
    [(22, 5, 4, 5), (20, 5, 4, 5), (4, 5, 1, 4), (5, 5, 1, 5), (9, 5, 1, 5), (1, 512, 1, 1)],
)
def test_a_last_smaller_batch_is_left_out_unless_it_is_the_only_one(n, size, steps, length):
    batches, _ = made(n, size=size)
    assert batches.steps == steps
    assert [len(batches.draw(0, step)) for step in range(steps)] == [length] * steps


def test_an_epoch_sees_no_picture_twice_and_leaves_out_others_next_time():
    batches, _ = made()
    left_out = set()
    for epoch in range(100):
        seen = torch.cat([batches.draw(epoch, step).rows for step in range(batches.steps)]).tolist()
        assert len(set(seen)) == len(seen) == 20
        left_out |= {at * 7 + 1000 for at in range(22)} - set(seen)
    assert len(left_out) == 22


@pytest.mark.parametrize("reach", [0, 2])
@pytest.mark.parametrize("flip", [False, True])
def test_pixels_label_and_row_number_are_of_one_picture_moved_and_mirrored_as_drawn(reach, flip):
    batches, pixels = made(reach=reach, flip=flip)
    padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    for epoch in range(2):
        moves = shifts(22, reach=reach, seed=3, epoch=epoch).numpy()
        mirrored = flip_side(22, seed=3, epoch=epoch)
        for step in range(batches.steps):
            found, labels, rows = parts_of(batches.draw(epoch, step))
            assert found.dtype == torch.uint8
            for picture, label, row in zip(found.numpy(), labels.tolist(), rows.tolist(), strict=True):
                at = (row - 1000) // 7
                assert label == at * 10
                down, right = moves[at] if reach else (0, 0)
                expected = padded[at, down : down + 6, right : right + 8].transpose(2, 0, 1)
                if flip and mirrored[at]:
                    expected = expected[:, :, ::-1]
                np.testing.assert_array_equal(picture, expected)


# ---------------------------------------------------------------- uneven classes
def uneven(**given):
    pixels = np.random.default_rng(1).integers(0, 256, (40, 6, 8, 3), dtype=np.uint8)
    return PictureBatches(pixels, {"label": torch.arange(40)}, np.arange(40) + 100, size=8, reach=1, flip=True,
                          seed=3, device="cpu", **given)  # fmt: skip


@pytest.mark.parametrize("weights", [torch.arange(40.0) + 1, torch.arange(80.0).reshape(40, 2)])
def test_every_picture_brings_its_weight(weights):
    batches, plain = uneven(weights=weights), uneven()
    for epoch in range(2):
        for step in range(batches.steps):
            batch, without = batches.draw(epoch, step), plain.draw(epoch, step)
            assert torch.equal(batch.weights, weights[batch.rows - 100])
            assert without.weights is None
            assert torch.equal(batch.inputs["pictures"], without.inputs["pictures"])


def test_pictures_with_larger_shares_are_drawn_more_often_and_moved_otherwise_each_time():
    shares = torch.tensor([1.0] * 36 + [6.0] * 4)
    batches = uneven(shares=shares)
    rows, pictures = [], []
    for step in range(batches.steps):
        batch = batches.draw(0, step)
        assert torch.equal(batch.targets["label"], batch.rows - 100)
        rows.append(batch.rows)
        pictures.append(batch.inputs["pictures"])
    rows, pictures = torch.cat(rows), torch.cat(pictures)
    assert len(rows) == 40
    assert all((rows == row).sum() in (4, 5) for row in range(136, 140)), "6 times 40 / 60"
    assert len(torch.unique(pictures[rows == 137], dim=0)) > 1


def test_a_batch_of_uneven_shares_is_the_same_whatever_was_drawn_before_it():
    shares = torch.rand(40, generator=torch.Generator().manual_seed(0)) + 0.1
    straight = uneven(shares=shares)
    places = [(epoch, step) for epoch in range(3) for step in range(straight.steps)]
    expected = {place: parts_of(straight.draw(*place)) for place in places}
    other = uneven(shares=shares)
    for place in random.Random(0).sample(places, k=len(places)):
        assert all(map(torch.equal, parts_of(other.draw(*place)), expected[place])), place


def test_another_seed_gives_other_batches():
    one, other = made(seed=1)[0], made(seed=2)[0]
    assert not torch.equal(one.draw(0, 0).rows, other.draw(0, 0).rows)


# ---------------------------------------------------------------- changed and mixed
EVERY = [Augment(name, *operations[name].usual) for name in operations if name not in ("shift", "flip")]


def changed(n=22, *, size=5, plan=EVERY, height=16, width=18, classes=4):
    pixels = np.random.default_rng(1).integers(0, 256, (n, height, width, 3), dtype=np.uint8)
    targets = {"label": torch.arange(n) % classes, "several": torch.eye(classes)[torch.arange(n) % classes]}
    return PictureBatches(
        pixels,
        targets,
        np.arange(n) * 7 + 1000,
        size=size,
        reach=2,
        flip=True,
        seed=3,
        device="cpu",
        augmenter=Augmenter(plan, seed=3, fill=[1, 2, 3]),
        classes=classes,
    )


def by_row(batches, epoch):
    """Row → (picture, targets) of all that an epoch draws."""
    found = {}
    for step in range(batches.steps):
        batch = batches.draw(epoch, step)
        for at, row in enumerate(batch.rows.tolist()):
            found[row] = [batch.inputs["pictures"][at], *(one[at] for one in batch.targets.values())]
    return found


@pytest.mark.parametrize("size", [1, 2, 7, 22])
def test_a_picture_and_its_targets_are_the_same_in_batches_of_any_size(size):
    expected, found = by_row(changed(size=11), 4), by_row(changed(size=size), 4)
    assert len(found) >= 21
    for row, several in found.items():
        assert all(map(torch.equal, several, expected[row])), row


def test_a_batch_of_changed_pictures_is_the_same_whatever_was_drawn_before_it():
    first, second = changed(), changed()
    places = [(epoch, step) for epoch in range(2) for step in range(first.steps)]
    expected = {place: parts_of(first.draw(*place)) for place in places}
    for place in reversed(places):
        assert all(map(torch.equal, parts_of(second.draw(*place)), expected[place]))


def test_without_mixing_labels_stay_numbers():
    plan = [one for one in EVERY if one.name not in ("mixup", "cutmix")]
    batch = changed(plan=plan).draw(0, 0)
    labels = batch.targets["label"]
    assert torch.equal(labels, (batch.rows - 1000) // 7 % 4)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_pictures_count_as_their_own_class_and_their_partners(name):
    batches = changed(n=40, size=40, plan=[Augment(name, 1, 1)])
    batch = batches.draw(0, 0)
    pictures, shares = batch.inputs["pictures"], batch.targets["label"]
    assert (pictures.dtype, shares.dtype, shares.shape) == (torch.uint8, torch.float32, (40, 4))
    torch.testing.assert_close(shares.sum(1), torch.ones(40))
    assert torch.equal(batch.targets["several"], shares)
    own = (batch.rows - 1000) // 7 % 4
    assert ((shares > 0).sum(1) <= 2).all()
    assert float((shares.gather(1, own[:, None]) > 0).float().mean()) > 0.9
    # The partner as it looks this epoch, with its own shift and side.
    plain = by_row(changed(n=40, size=40, plan=[]), 0)
    seen = [one[0] for one in plain.values()]
    at = int(shares.max(1).values.argmin())
    mine, row = pictures[at].int(), int(batch.rows[at])
    if name == "cutmix":
        left = mine != plain[row][0].int()
        assert any(torch.equal(mine[left], other.int()[left]) for other in seen)


@pytest.mark.parametrize("shape", [(40,), (40, 3)])
def test_a_weight_is_mixed_as_its_picture_is(shape):
    weights = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    pixels = np.random.default_rng(1).integers(0, 256, (40, 6, 8, 3), dtype=np.uint8)
    batches = PictureBatches(
        pixels, {"label": torch.arange(40)}, np.arange(40), size=40, reach=0, flip=False, seed=3, device="cpu",
        augmenter=Augmenter([Augment("mixup", 1, 1)], seed=3, fill=[1, 2, 3]), classes=40, weights=weights,
    )  # fmt: skip
    batch = batches.draw(0, 0)
    # With a class for every picture the target says how much of which picture is in the mixture.
    torch.testing.assert_close(batch.weights, batch.targets["label"] @ weights)


# ---------------------------------------------------------------- normalising
@pytest.mark.parametrize(("n", "channels"), [(1, 1), (5, 3), (40, 3), (17, 1)])
def test_the_figures_equal_numpys_mean_and_standard_deviation(n, channels):
    scale = np.array([255, 40, 7][:channels])
    pixels = (np.random.default_rng(0).random((n, 9, 6, channels)) * scale).astype(np.uint8)
    found = Normaliser.of(pixels)
    np.testing.assert_allclose(found.mean, pixels.mean((0, 1, 2), dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std((0, 1, 2), dtype=np.float64), rtol=1e-12)
    turned = Normaliser.of(pixels[::-1])
    assert (turned.mean, turned.std) == (found.mean, found.std)  # to the bit, in any order


def test_normalised_pictures_have_mean_0_and_variance_1_in_each_channel():
    pixels = np.random.default_rng(0).integers(0, 200, (30, 8, 8, 3), dtype=np.uint8)
    normaliser = Normaliser.of(pixels)
    found = normaliser(torch.from_numpy(pixels).permute(0, 3, 1, 2))
    assert found.dtype == torch.float32
    assert found.shape == (30, 3, 8, 8)
    torch.testing.assert_close(found.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)
    expected = (pixels - pixels.mean((0, 1, 2))) / pixels.std((0, 1, 2))
    np.testing.assert_allclose(found.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_a_constant_channel_keeps_its_scale_and_stays_finite():
    pixels = np.full((4, 3, 3, 2), 90, dtype=np.uint8)
    pixels[..., 1] = np.arange(9).reshape(3, 3)
    normaliser = Normaliser.of(pixels)
    assert normaliser.std[0] == 255.0
    found = normaliser(torch.tensor([[[[91]], [[4]]]], dtype=torch.uint8))
    assert found.flatten().tolist() == pytest.approx([1 / 255, 0])


# ---------------------------------------------------------------- in a file
def filed(tmp_path, monkeypatch, **settings):
    """The batches of `made`, the pictures in a file and no memory to hold them."""
    batches, pixels = made(**settings)
    pixels.tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=pixels.shape)
    monkeypatch.setattr(platform, "free_memory", lambda: 0)
    labels = batches._targets["label"]
    return batches, PictureBatches(
        PictureArray(mapped),
        {"label": labels},
        np.arange(len(pixels)) * 7 + 1000,
        size=batches.size,
        reach=settings.get("reach", 2),
        flip=True,
        seed=3,
        device="cpu",
    )


@pytest.mark.parametrize("reach", [0, 2])
def test_pictures_in_a_file_give_the_batches_that_those_in_memory_give(tmp_path, monkeypatch, reach):
    held, mapped = filed(tmp_path, monkeypatch, reach=reach)
    assert type(held._held) is not type(mapped._held)
    for epoch in range(2):
        for step in range(held.steps):
            assert all(map(torch.equal, parts_of(held.draw(epoch, step)), parts_of(mapped.draw(epoch, step))))


@pytest.mark.parametrize("reach", [0, 2])
def test_so_do_sets_so_large_that_an_epoch_keeps_to_neighbours(tmp_path, monkeypatch, reach):
    for name, value in (("NEAR_FROM", 1000), ("RUN", 144 * 3), ("WINDOW", 144 * 12)):
        monkeypatch.setattr(loading, name, value)
    held, mapped = filed(tmp_path, monkeypatch, n=100, reach=reach)
    order = held._plan(0)[0]
    assert sorted(order.tolist()) == list(range(100))
    assert len({at // 3 for at in order[:12].tolist()}) == 4  # four runs of three
    seen = []
    for step in range(held.steps):
        assert all(map(torch.equal, parts_of(held.draw(0, step)), parts_of(mapped.draw(0, step))))
        seen += mapped.draw(1, step).rows.tolist()
    assert len(set(seen)) == 100
    # Whatever was drawn before: a run that is resumed in the middle sees what it would have seen.
    late = filed(tmp_path, monkeypatch, n=100, reach=reach)[1]
    assert all(map(torch.equal, parts_of(late.draw(1, 7)), parts_of(mapped.draw(1, 7))))


def test_the_means_of_pictures_in_a_file_are_those_in_memory(tmp_path, monkeypatch):
    _, pixels = made(n=60)
    pixels.tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=pixels.shape)
    monkeypatch.setattr("vistazo.pictures.holding.BLOCK", 1000)
    one, other = Normaliser.of(pixels), Normaliser.of(PictureArray(mapped))
    assert (one.mean, one.std) == (other.mean, other.std)
    np.testing.assert_allclose(one.mean, pixels.mean((0, 1, 2)))
