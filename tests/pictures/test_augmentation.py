"""Shifts and mirrors; and every other change, drawn for each picture by (seed, epoch, row) alone."""

import numpy as np
import pytest
import torch
from scipy import stats

from vistazo.pictures import geometry, transforms
from vistazo.pictures.augmentation import Augmenter, Padded, flip_side, shifts, soften
from vistazo.pictures.augments import Augment, operations, parse


def pictures(n=6, height=7, width=9, channels=3):
    return np.random.default_rng(0).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("reach", [0, 1, 2, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_shift_is_the_window_of_the_mirrored_picture_that_numpy_gives(reach, channels):
    pixels = pictures(channels=channels)
    height, width = pixels.shape[1:3]
    padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    store = Padded(pixels, reach=reach, device="cpu")
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            rows = torch.tensor([5, 0, 3, 3])
            found = store.take(rows, torch.tensor([[down, right]] * 4))
            expected = padded[rows.numpy(), down : down + height, right : right + width]
            assert found.dtype == torch.uint8
            np.testing.assert_array_equal(found.numpy(), expected.transpose(0, 3, 1, 2))


def test_each_picture_has_a_shift_of_its_own():
    pixels = pictures()
    store = Padded(pixels, reach=2, device="cpu")
    moves = torch.tensor([[0, 4], [2, 2], [4, 1]])
    found = store.take(torch.tensor([2, 0, 5]), moves)
    for at, (row, move) in enumerate(zip((2, 0, 5), moves, strict=True)):
        assert torch.equal(found[at], store.take(torch.tensor([row]), move[None])[0])


def test_without_shifts_and_at_the_middle_one_pictures_are_as_they_came():
    pixels = pictures()
    store = Padded(pixels, reach=3, device="cpu")
    rows = torch.arange(6)
    for moves in (None, torch.full((6, 2), 3)):
        np.testing.assert_array_equal(store.take(rows, moves).numpy(), pixels.transpose(0, 3, 1, 2))


def test_what_is_taken_can_be_written_on_without_touching_the_pictures():
    pixels = pictures()
    store = Padded(pixels, reach=1, device="cpu")
    store.take(torch.arange(6), None).zero_()
    np.testing.assert_array_equal(store.take(torch.arange(6), None).numpy(), pixels.transpose(0, 3, 1, 2))


def test_shifts_are_uniform_within_reach_and_a_pure_function_of_seed_and_epoch():
    found = shifts(25_000, reach=2, seed=1, epoch=3)
    assert found.shape == (25_000, 2)
    counts = torch.bincount(found[:, 0] * 5 + found[:, 1], minlength=25)
    assert len(counts) == 25
    assert counts.min() > 800  # of 1000 expected, standard deviation 31
    assert counts.max() < 1200
    torch.manual_seed(99)
    assert torch.equal(shifts(25_000, reach=2, seed=1, epoch=3), found)
    for seed, epoch in ((1, 4), (2, 3)):
        assert not torch.equal(shifts(25_000, reach=2, seed=seed, epoch=epoch), found)


def test_every_picture_changes_sides_every_epoch():
    sides = [flip_side(2000, seed=1, epoch=epoch) for epoch in range(6)]
    for one, next_one in zip(sides, sides[1:], strict=False):
        assert torch.equal(one, ~next_one)
    assert 900 < int(sides[0].sum()) < 1100
    assert not torch.equal(flip_side(2000, seed=2, epoch=0), sides[0])


# ---------------------------------------------------------------- every other change
ALL = [Augment(name, *operations[name].usual) for name in operations]
ROWS = torch.arange(40) * 7 + 3


def augmenter(plan, *, seed=0, **other):
    plan = parse(plan) if isinstance(plan, str) else plan
    return Augmenter(plan, seed=seed, fill=[10, 20, 30], **other)


def batch(count=40, height=16, width=20, channels=3):
    return torch.from_numpy(pictures(count, height, width, channels)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_picture_becomes_is_a_function_of_its_row_in_any_batch(channels):
    given, change = batch(channels=channels), Augmenter(ALL, seed=0, fill=[10, 20, 30][:channels])
    whole = change(given, ROWS, 3)
    assert (whole.dtype, whole.shape) == (torch.uint8, given.shape)
    for size in (1, 3, 17):
        parts = [change(one, rows, 3) for one, rows in zip(given.split(size), ROWS.split(size), strict=True)]
        assert torch.equal(torch.cat(parts), whole)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(change(given[order], ROWS[order], 3), whole[order])


@pytest.mark.parametrize("name", [one for one in operations if one not in ("mixup", "cutmix")])
def test_every_change_changes_and_differs_by_row_epoch_and_seed(name):
    same = batch(1).expand(40, -1, -1, -1)
    one = Augment(name, *operations[name].usual)
    found = augmenter([one])(same, ROWS, 0)
    assert not torch.equal(found, same)
    least = 2 if name in ("flip", "vertical_flip", "average", "median") else 9
    assert len(found.flatten(1).unique(dim=0)) >= least
    assert not torch.equal(augmenter([one])(same, ROWS, 1), found)
    assert not torch.equal(augmenter([one], seed=1)(same, ROWS, 0), found)
    assert torch.equal(augmenter([one])(same, ROWS, 0), found)


def test_another_change_in_the_list_changes_nothing_in_what_one_draws():
    given = batch()
    alone = augmenter("brightness=0.1")(given, ROWS, 2)
    later = augmenter("brightness=0.1,cutout=0.3")(given, ROWS, 2)
    hidden = (later == torch.tensor([10, 20, 30]).view(3, 1, 1)).all(1, keepdim=True)
    assert 0 < float(hidden.float().mean()) < 0.2
    assert torch.equal(torch.where(hidden, alone, later), alone)


def test_a_plan_of_nothing_leaves_pictures_as_they_are():
    given = batch()
    assert torch.equal(augmenter([])(given, ROWS, 0), given)
    assert torch.equal(augmenter("mixup")(given, ROWS, 0), given)


def test_flips_move_whole_pixels_and_the_map_says_the_same():
    given, change = batch(), augmenter("flip,vertical_flip")
    found = change(given, ROWS, 5)
    maps = change.maps(ROWS, 5, height=16, width=20)
    shown = geometry.resample(given.float(), maps, border="reflection").round().to(torch.uint8)
    assert torch.equal(found, shown)
    assert len(maps.unique(dim=0)) == 4


def test_a_flip_alternates_and_a_vertical_one_comes_by_its_share():
    rows = torch.arange(4000)
    sides = [augmenter("flip").maps(rows, epoch, height=9, width=9)[:, 0, 0] for epoch in range(4)]
    for one, following in zip(sides, sides[1:], strict=False):
        assert torch.equal(one, -following)
    assert abs(float(sides[0].mean())) < 0.1
    down = augmenter("vertical_flip=0.2").maps(rows, 0, height=9, width=9)[:, 1, 1]
    assert float((down < 0).double().mean()) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("plan", "read", "low", "high"),
    [
        ("rotate=-10..30", lambda m: np.rad2deg(np.arctan2(-m[:, 1, 0], m[:, 0, 0])), -10, 30),
        ("zoom=0.5..2", lambda m: m[:, 0, 0], 0.5, 2),
        ("shear=20", lambda m: np.rad2deg(np.arctan(m[:, 0, 1])), -20, 20),
        ("translate=0.25", lambda m: m[:, 0, 2], -5, 5),
        ("crop=0.3..0.9", lambda m: 1 / (m[:, 0, 0] * m[:, 1, 1]), 0.3, 0.9),
    ],
)
def test_strengths_are_spread_evenly_over_their_range(plan, read, low, high):
    maps = augmenter(plan).maps(torch.arange(4000), 1, height=16, width=20).numpy()
    found = read(maps)
    assert found.min() >= low - 1e-9
    assert found.max() <= high + 1e-9
    assert stats.kstest(found, stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_crops_lie_within_the_picture_at_every_place_and_keep_their_proportions():
    maps = augmenter("crop=0.3..1").maps(torch.arange(4000), 0, height=16, width=20)
    wide, high = 20 / maps[:, 0, 0], 16 / maps[:, 1, 1]
    left, top = -maps[:, 0, 2] / maps[:, 0, 0], -maps[:, 1, 2] / maps[:, 1, 1]
    assert float(left.min()) >= -1e-9
    assert float(top.min()) >= -1e-9
    assert float((left + wide).max()) <= 20 + 1e-9
    assert float((top + high).max()) <= 16 + 1e-9
    aspect = (wide / high) / (20 / 16)
    assert float(aspect.min()) >= 3 / 4 - 1e-9
    assert float(aspect.max()) <= 4 / 3 + 1e-9
    share = left / (20 - wide).clamp_min(1e-9)
    assert stats.kstest(share.numpy(), "uniform").pvalue > 1e-3


def test_a_shift_in_the_list_is_by_whole_pixels():
    maps = augmenter("shift=2").maps(torch.arange(2000), 0, height=9, width=9)
    moves = maps[:, :2, 2]
    assert sorted(set(moves.flatten().tolist())) == [-2, -1, 0, 1, 2]
    assert len(moves.unique(dim=0)) == 25


def test_boxes_are_carried_by_the_maps_the_pictures_are_shown_by():
    plan = "flip,rotate=20,zoom=0.9..1.1,translate=0.05,shear=5"
    given = torch.zeros(40, 1, 48, 48, dtype=torch.uint8)
    given[:, :, 18:30, 15:29] = 255
    change = Augmenter(parse(plan), seed=4, fill=[0], border="zeros")
    shown = change(given, ROWS, 2)
    boxes = [torch.tensor([[15.0, 18, 29, 30]])] * 40
    maps = change.maps(ROWS, 2, height=48, width=48)
    found, kept = geometry.carry_boxes(boxes, maps, height=48, width=48, visible=0.5)
    assert all(one.tolist() == [True] for one in kept)
    for picture, box in zip(shown[:, 0] > 8, found, strict=True):
        rows, columns = torch.nonzero(picture.any(1))[:, 0], torch.nonzero(picture.any(0))[:, 0]
        drawn = torch.tensor([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert (drawn - box[0]).abs().max() <= 1.6


def test_a_hole_has_its_size_its_colour_and_any_pixel_for_its_middle():
    given = torch.full((3000, 3, 16, 20), 200, dtype=torch.uint8)
    found = augmenter("cutout=0.25")(given, torch.arange(3000), 0)
    hidden = (found == torch.tensor([10, 20, 30], dtype=torch.uint8).view(3, 1, 1)).all(1)
    assert torch.equal(hidden, (found != 200).any(1))
    areas = hidden.sum((1, 2))
    assert int(areas.max()) == 16
    assert int(areas.min()) >= 4
    covered = hidden.float().mean(0)
    assert float(covered[4:12, 4:16].std()) < 0.01


# ---------------------------------------------------------------- two pictures in one
@pytest.mark.parametrize(("plan", "pasted"), [("mixup", 0.0), ("cutmix", 1.0), ("mixup,cutmix", 0.5)])
def test_partners_are_any_of_all_pictures_by_row_alone(plan, pasted):
    rows, change = torch.arange(4000), augmenter(plan)
    found = change.mixture(rows, 2, count=50, height=16, width=20)
    assert change.mixes
    assert stats.chisquare(torch.bincount(found.partner_N, minlength=50).numpy()).pvalue > 1e-3
    assert float(found.pasted_N.double().mean()) == pytest.approx(pasted, abs=0.03)
    few = change.mixture(rows[100:103], 2, count=50, height=16, width=20)
    for name in ("partner_N", "pasted_N", "share_N", "windows_N4"):
        assert torch.equal(getattr(few, name), getattr(found, name)[100:103]), name
    other = change.mixture(rows, 3, count=50, height=16, width=20)
    assert not torch.equal(other.partner_N, found.partner_N)


def test_shares_are_of_the_beta_distribution_that_is_asked_for():
    found = augmenter("mixup=0.4").mixture(torch.arange(4000), 0, count=5, height=16, width=20)
    assert stats.kstest(found.share_N.numpy(), stats.beta(0.4, 0.4).cdf).pvalue > 1e-3


def test_what_is_mixed_is_as_much_of_each_as_its_share_says():
    rows = torch.arange(500)
    ours, theirs = (torch.full((500, 3, 16, 20), value, dtype=torch.uint8) for value in (200, 0))
    change = augmenter("mixup,cutmix")
    mixture = change.mixture(rows, 0, count=5, height=16, width=20)
    found, share = change.mixed(ours, theirs, mixture)
    assert (found.dtype, share.dtype) == (torch.uint8, torch.float32)
    torch.testing.assert_close(found.double().mean((1, 2, 3)) / 200, share.double(), atol=0.003, rtol=0)
    pasted = mixture.pasted_N
    assert set(found[pasted].unique().tolist()) <= {0, 200}
    assert (found[~pasted].flatten(1).double().std(1) == 0).all()


def test_class_numbers_become_shares_of_classes_and_shares_are_mixed():
    found = soften(torch.tensor([0, 2]), torch.tensor([1, 2]), torch.tensor([0.75, 0.3]), classes=3)
    torch.testing.assert_close(found, torch.tensor([[0.75, 0.25, 0], [0, 0, 1]]))
    several = soften(torch.tensor([[1.0, 1, 0]]), torch.tensor([[0.0, 1, 1]]), torch.tensor([0.5]), classes=3)
    torch.testing.assert_close(several, torch.tensor([[0.5, 1, 0.5]]))


def test_each_change_is_done_by_the_transform_of_its_name(monkeypatch):
    called = []
    for name in ("recolour", "blur", "average", "median", "sharpen", "add_noise", "drop_pixels", "cut_out"):

        def spy(*given, _name=name, _real=getattr(transforms, name), **named):
            called.append(_name)
            return _real(*given, **named)

        monkeypatch.setattr(transforms, name, spy)
    augmenter(ALL)(batch(), ROWS, 0)
    assert called == [
        "recolour",
        "blur",
        "average",
        "median",
        "sharpen",
        "add_noise",
        "drop_pixels",
        "cut_out",
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_pictures_change_alike_on_an_accelerator():
    given, change = batch(), augmenter(ALL)
    found = change(given.cuda(), ROWS, 3)
    assert found.device.type == "cuda"
    difference = (found.cpu().int() - change(given, ROWS, 3).int()).abs()
    assert float((difference > 1).float().mean()) < 0.001
    mixture = change.mixture(ROWS, 3, count=40, height=16, width=20)
    mixed, share = change.mixed(found, found[mixture.partner_N.cuda()], mixture)
    assert (mixed.device.type, share.device.type) == ("cuda", "cuda")
