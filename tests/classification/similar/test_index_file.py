"""The index on disk: appended to, removed from, and after a kill either the old one or the new."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vistazo.classification.similar import index_file
from vistazo.classification.similar.index_file import ENROLLED, PICTURES, Columns, VectorIndex, changing
from vistazo.errors import SourceDamaged, SourceError

SOURCE = Path(index_file.__file__).parents[3]


def columns(names, label="cat"):
    hashes = [f"{abs(hash(name)) % 16**32:032x}" for name in names]
    return Columns(
        list(names), [label] * len(names), np.array(hashes, "S32"), np.array([b"s"] * len(names), "S8")
    )


def vectors(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)


@pytest.fixture
def index(tmp_path):
    made = VectorIndex.create(tmp_path / "index", fingerprint="f", model="m", width=8)
    made.add(PICTURES, "/source", vectors(3), columns("abc"))
    made.commit()
    return made


def names_of(index, group=PICTURES):
    return [
        index.columns(one).names[row]
        for one in index.of(group, None)
        for row in np.flatnonzero(one.alive).tolist()
    ]


def test_what_was_written_is_read_again(index):
    again = VectorIndex.open(index.folder)
    (piece,) = again.pieces
    np.testing.assert_array_equal(again.values(piece), vectors(3))
    told = again.columns(piece)
    assert (told.names, told.labels) == (["a", "b", "c"], ["cat"] * 3)
    np.testing.assert_array_equal(told.hashes, columns("abc").hashes)
    np.testing.assert_array_equal(told.stamps, columns("abc").stamps)
    assert (again.facts["fingerprint"], again.facts["model"], again.width) == ("f", "m", 8)
    assert isinstance(again.values(piece), np.memmap)


def test_nothing_is_there_before_the_first_commit(tmp_path):
    assert VectorIndex.open(tmp_path) is None
    made = VectorIndex.create(tmp_path / "new", fingerprint="f", model="m", width=8)
    made.add(PICTURES, "/s", vectors(1), columns("a"))
    assert VectorIndex.open(tmp_path / "new") is None


def test_appending_writes_a_new_piece_and_leaves_the_old_files_alone(index):
    before = {path.name: path.stat().st_mtime_ns for path in index.folder.glob("piece-*")}
    index.add(PICTURES, "/source", vectors(2, 1), columns("de"))
    index.commit()
    assert names_of(VectorIndex.open(index.folder)) == list("abcde")
    for name, changed in before.items():
        assert (index.folder / name).stat().st_mtime_ns == changed


def test_removing_touches_no_vector(index):
    before = {path.name: path.read_bytes() for path in index.folder.glob("piece-*")}
    index.remove(1, np.array([1]))
    index.commit()
    again = VectorIndex.open(index.folder)
    assert names_of(again) == ["a", "c"]
    assert again.count(PICTURES) == 2
    assert {path.name: path.read_bytes() for path in index.folder.glob("piece-*")} == before


def test_a_piece_without_any_living_row_goes(index):
    index.remove(1, np.arange(3))
    index.commit()
    assert VectorIndex.open(index.folder).pieces == []
    assert list(index.folder.glob("piece-*")) == []


def test_rows_that_are_gone_are_kept_as_ranges(index):
    piece = index.pieces[0].without(np.array([0, 1]))
    assert piece.gone == ((0, 2),)
    assert piece.without(np.array([2])).gone == ((0, 3),)
    assert piece.alive.tolist() == [False, False, True]


def test_many_small_pieces_of_a_source_become_one(tmp_path, monkeypatch):
    monkeypatch.setattr(index_file, "MANY", 4)
    made = VectorIndex.create(tmp_path, fingerprint="f", model="m", width=8)
    for at, name in enumerate("abcdef"):
        made.add(PICTURES, "/s", vectors(1, at), columns(name))
        if name == "b":
            made.remove(made.pieces[0].number, np.array([0]))
        made.commit()
    made.add(ENROLLED, "", vectors(1, 9), columns("z", "Ana"))
    made.commit()
    again = VectorIndex.open(tmp_path)
    assert len(again.of(PICTURES, None)) < 4
    assert names_of(again) == list("bcdef")
    assert names_of(again, ENROLLED) == ["z"]
    found = np.concatenate([again.values(one)[one.alive] for one in again.of(PICTURES, None)])
    np.testing.assert_array_equal(found, np.concatenate([vectors(1, at) for at in range(1, 6)]))
    assert len(list(tmp_path.glob("piece-*"))) == 2 * len(again.pieces)


def test_what_a_killed_change_left_is_taken_away_by_the_next(index):
    index.add(PICTURES, "/source", vectors(2, 1), columns("de"))  # and no commit: killed
    (index.folder / ".piece-000009.f32.77.part").write_bytes(b"half")
    again = VectorIndex.open(index.folder)
    assert names_of(again) == list("abc")
    again.add(PICTURES, "/source", vectors(1, 2), columns("x"))
    again.commit()
    assert names_of(VectorIndex.open(index.folder)) == list("abcx")
    assert len(list(index.folder.glob("*piece-*"))) == 4


def first_columns(folder):
    again = VectorIndex.open(folder)
    return again.columns(again.pieces[0])


@pytest.mark.parametrize("harm", ["cut", "gone", "json", "columns"])
def test_a_damaged_index_says_so(index, harm):
    if harm == "cut":
        os.truncate(index.folder / "piece-000001.f32", 40)
    elif harm == "gone":
        (index.folder / "piece-000001.f32").unlink()
    elif harm == "json":
        (index.folder / "index.json").write_text('{"format": 1')
    else:
        (index.folder / "piece-000001.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(SourceDamaged, match="is damaged. Delete that folder"):
        first_columns(index.folder)


def test_a_change_by_another_process_while_an_index_is_opened_is_no_damage(index, monkeypatch):
    real, done = index_file._truth_of, []

    def then_changed(folder):
        truth = real(folder)
        if not done:
            done.append(truth)
            other = VectorIndex.open(folder)
            other.remove(1, np.arange(3))
            other.add(PICTURES, "/source", vectors(2, 1), columns("de"))
            other.commit()  # the files of the first piece go
        return truth

    monkeypatch.setattr(index_file, "_truth_of", then_changed)
    assert names_of(VectorIndex.open(index.folder)) == ["d", "e"]


def test_an_index_that_may_not_be_read_is_not_called_damaged(index):
    (index.folder / "index.json").unlink()
    (index.folder / "index.json").mkdir()
    with pytest.raises(SourceError, match=r"index\.json cannot be read"):
        VectorIndex.open(index.folder)


def test_an_index_of_a_newer_vistazo_says_so(index):
    told = json.loads((index.folder / "index.json").read_text())
    (index.folder / "index.json").write_text(json.dumps({**told, "format": 99}))
    with pytest.raises(SourceDamaged, match="newer Vistazo"):
        VectorIndex.open(index.folder)


def test_metadata_is_a_fifth_of_narrow_vectors_at_most(tmp_path):
    count = 20_000
    random = np.random.default_rng(0)
    names = [f"train/{one % 10}/{one:06d}.png" for one in range(count)]
    hashes = np.array([random.bytes(16).hex() for _ in range(count)], "S32")
    stamps = np.array([random.bytes(8) for _ in range(count)], "S8")
    made = VectorIndex.create(tmp_path, fingerprint="f", model="m", width=64)
    values = random.normal(size=(count, 64)).astype(np.float32)
    made.add(PICTURES, "/s", values, Columns(names, [str(one % 10) for one in range(count)], hashes, stamps))
    made.commit()
    assert made.bytes() <= 1.2 * values.nbytes


CHANGES = """
import sys
import numpy as np
from pathlib import Path
from vistazo.classification.similar.index_file import PICTURES, Columns, VectorIndex, changing

folder = Path(sys.argv[1])
print("begun", flush=True)
for number in range(10_000):
    with changing(folder):
        index = VectorIndex.open(folder) or VectorIndex.create(folder, fingerprint="f", model="m", width=8)
        index.add(PICTURES, "/s", np.full((50, 8), number, np.float32), Columns(
            [f"{number}-{row}" for row in range(50)], [None] * 50, np.array(["0" * 32] * 50, "S32"),
            np.zeros(50, "S8")))
        if number % 3 == 2:
            first = index.pieces[0]
            index.remove(first.number, np.flatnonzero(first.alive)[:20])
        index.commit()
"""


def test_a_kill_at_any_moment_leaves_an_index_that_is_whole(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    for moment in (0.05, 0.2, 0.35):
        process = subprocess.Popen(
            [sys.executable, "-c", CHANGES, str(tmp_path)], stdout=subprocess.PIPE, env=environment
        )
        assert process.stdout.readline() == b"begun\n"
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        index = VectorIndex.open(tmp_path)
        if index is None:
            continue
        for piece in index.pieces:
            told, values = index.columns(piece), index.values(piece)
            assert [float(name.split("-")[0]) for name in told.names] == values[:, 0].tolist()
        with changing(tmp_path):  # the killed process holds no lock
            index.commit()
