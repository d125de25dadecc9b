"""Rows of mapped files are those of the arrays, and a file that was cut is named instead of looked at."""

import os

import numpy as np
import pytest

from vistazo.errors import SourceDamaged
from vistazo.pictures.filed import FileRows
from vistazo.pictures.stores import Arrays


@pytest.fixture
def saved(tmp_path):
    """An array and its mapped file."""

    def save(shape=(9, 4, 5, 3), order="C", seed=0):
        array = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        path = tmp_path / f"{seed}.npy"
        np.save(path, np.asarray(array, order=order))
        return array, np.lib.format.open_memmap(path, mode="r"), path

    return save


@pytest.mark.parametrize("shape", [(9, 4, 5, 3), (9, 4, 5), (1, 7, 2), (9, 1, 1)])
def test_rows_are_those_of_the_array(saved, shape):
    array, mapped, _ = saved(shape)
    rows = FileRows.of(mapped)
    for first, last in ((0, 1), (0, shape[0]), (shape[0] - 1, shape[0])):
        assert (rows.read(first, last) == array[first:last]).all()


def test_views_of_a_map_are_read_where_they_lie(saved):
    array, mapped, _ = saved((8, 49))
    assert (FileRows.of(mapped.reshape(8, 7, 7)[2:]).read(1, 4) == array.reshape(8, 7, 7)[3:6]).all()
    turned, same = (one[:, 1:].reshape(-1, 3, 4, 4).transpose(0, 2, 3, 1) for one in (mapped, array))
    assert (FileRows.of(turned).read(2, 8) == same[2:]).all()  # as CIFAR lies in its files


def test_arrays_in_memory_and_entangled_rows_are_left_as_they_are(saved):
    array, mapped, _ = saved()
    assert FileRows.of(array) is None
    assert FileRows.of(mapped[::-1]) is None
    assert FileRows.of(mapped.transpose(1, 0, 2, 3)) is None
    assert FileRows.of(saved(order="F", seed=1)[1]) is None


def test_what_was_written_to_a_private_map_counts(saved):
    _, _, path = saved()
    private = np.lib.format.open_memmap(path, mode="c")
    private[3] = 7
    assert (Arrays([private], list("abcdefghi"), np.arange(9)).read(3) == 7).all()


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [3, 0, 2], list(range(18)), [17, 3, 9, 8], [8, 9]])
def test_blocks_are_those_of_the_parts(saved, monkeypatch, rows):
    from vistazo.pictures import stores

    monkeypatch.setattr(stores, "PIECE", 130)  # two rows
    (one, first, _), (other, second, _) = saved(), saved(seed=1)
    store = Arrays([first, second], [str(at) for at in range(18)], np.arange(18))
    assert (store.block(np.array(rows)) == np.concatenate([one, other])[rows]).all()
    assert (store.take(np.array(rows)).read(0) == np.concatenate([one, other])[rows[0]]).all()


def test_a_file_that_was_cut_is_named(saved):
    array, mapped, path = saved()
    store = Arrays([mapped], [str(at) for at in range(9)], np.arange(9))
    os.truncate(path, path.stat().st_size - 70)
    assert (store.read(0) == array[0]).all()
    with pytest.raises(SourceDamaged, match="cut while it was read"):
        store.read(8)
    with pytest.raises(SourceDamaged, match="cut while it was read"):
        store.block(np.arange(9))


def test_another_file_in_its_place_changes_nothing(saved, tmp_path):
    array, mapped, path = saved()
    store = Arrays([mapped], [str(at) for at in range(9)], np.arange(9))
    np.save(tmp_path / "other.npy", 255 - array)
    (tmp_path / "other.npy").replace(path)
    assert (store.take(np.array([4])).read(0) == array[4]).all()


def test_stamps_change_with_the_file_and_arrays_in_memory_have_none(saved):
    array, mapped, path = saved()
    names = [str(at) for at in range(9)]
    before = Arrays([mapped], names, np.arange(9)).stamps()
    assert len(set(before.keys.tolist())) == 9
    assert before.size == array.nbytes
    os.utime(path, (1, 1))
    assert not (Arrays([mapped], names, np.arange(9)).stamps().keys == before.keys).any()
    assert Arrays([array], names, np.arange(9)).stamps() is None
