import json
import threading

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from vistazo.errors import DiskError, SourceDamaged, SourceError, TooFewExamples
from vistazo.pictures import decoding, manifests
from vistazo.pictures.sources import describe, iterate_files, read_source

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def features(names):
    about = {
        "info": {"features": {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}}
    }
    return {b"huggingface": json.dumps(about).encode()}


def shard(path, pictures, labels, *, names=("cat", "dog"), group=3, kind=None, column="label"):
    """A file as `datasets` writes it: structs of bytes and path, numbers of classes, their names in the metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array([{"bytes": one, "path": f"/etc/{at}.png"} for at, one in enumerate(pictures)], STRUCT)
    table = pa.table({"image": images, column: pa.array(labels, kind)})
    if names is not None:
        table = table.replace_schema_metadata(features(list(names)))
    parquet.write_table(table, path, row_group_size=group)
    return path


def test_a_folder_of_shards_is_read_with_the_names_and_parts_of_hugging_face(tmp_path, picture, read, table):
    data = tmp_path / "data"
    for number in range(2):
        pictures = [picture(10 * number + at) for at in range(8)]
        shard(data / f"train-0000{number}-of-00002.parquet", pictures, [0, 1] * 4)
    shard(data / "test-00000-of-00001.parquet", [picture(50), picture(51)], [1, 0])
    shard(tmp_path / "default/validation/0000.parquet", [picture(60)], [1])
    (tmp_path / "README.md").write_text("card")
    found = read(tmp_path)
    assert (found.index.kind, found.index.classes) == ("encoded", ("cat", "dog"))
    told = table(found)
    assert told["data/train-00001-of-00002.parquet#3"] == ("dog", "train")
    assert told["data/test-00000-of-00001.parquet#1"] == ("cat", "test")
    assert told["default/validation/0000.parquet#0"] == ("dog", "validation")
    rows = {name: row for row, name in enumerate(found.index.where)}
    assert found.store.read(rows["data/train-00001-of-00002.parquet#7"]) == picture(17)
    loaded = decoding.load(found.store, np.arange(19), height=10, width=12, channels=3, threads=3)
    assert len(loaded.pixels) == 19


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()], ids=["binary", "large"])
def test_a_column_of_bytes_and_labels_that_are_names(tmp_path, picture, read, table, kind):
    pictures = pa.array([picture(at) for at in range(4)], kind)
    names = pa.array(["ñu", "gato", "ñu", "gato"]).dictionary_encode()
    parquet.write_table(
        pa.table({"id": range(4), "imagen": pictures, "Etiqueta": names}), tmp_path / "a.parquet"
    )
    found = read(tmp_path / "a.parquet")
    assert table(found)["a.parquet#2"] == ("ñu", "")
    assert found.store.take(np.array([3, 0])).read(1) == picture(0)


def test_rows_without_a_label_are_counted_and_a_hidden_one_is_no_class(tmp_path, picture, read):
    path = shard(tmp_path / "a.parquet", [picture(at) for at in range(6)], [0, None, 1, -1, 1, 0])
    found = read(path)
    assert found.index.where == ("a.parquet#0", "a.parquet#2", "a.parquet#4", "a.parquet#5")
    assert found.notes == ("Pictures without a label, not used: 2.",)
    assert found.store.read(2) == picture(4)
    assert len(dict(iterate_files([path]))) == 6
    with pytest.raises(TooFewExamples, match="no row with both a picture and a label"):
        read(shard(tmp_path / "b.parquet", [picture(0)], [-1]))


def test_lists_of_labels_are_several_labels(tmp_path, picture, read):
    path = shard(tmp_path / "a.parquet", [picture(at) for at in range(3)], [[0, 1], [1], []], column="labels",
                 names=None)  # fmt: skip
    found = read(path)
    assert found.index.labels.tolist() == [[True, True], [False, True], [False, False]]


def test_what_a_struct_names_by_path_alone_is_never_opened(tmp_path, picture, read):
    (tmp_path / "secret.png").write_bytes(picture(9))
    images = pa.array(
        [{"bytes": None, "path": str(tmp_path / "secret.png")}, {"bytes": picture(1)}, None], STRUCT
    )
    parquet.write_table(pa.table({"image": images, "label": [0, 1, 1]}), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    loaded = decoding.load(found.store, np.arange(3), height=10, width=12, channels=3, threads=1)
    assert [one.reason for one in loaded.broken] == ["the table holds no bytes of it"] * 2
    assert loaded.rows.tolist() == [1]


@pytest.mark.parametrize(("group", "most"), [(2, 40), (1000, 170)], ids=["small groups", "one group"])
def test_the_table_is_never_in_memory_as_a_whole_however_many_threads_read_it(tmp_path, read, group, most):
    """64 MB; in one row group they are one page too, which Arrow unpacks as a whole: twice 64 MB, and once alone."""
    blob = np.random.default_rng(0).bytes(1 << 20)
    pictures = [at.to_bytes(4, "big") + blob for at in range(66)]
    found = read(shard(tmp_path / "a.parquet", pictures, [0, 1] * 33, group=group))
    before = pa.total_allocated_bytes()
    peaks, wrong = [], []

    def work(first):
        for row in range(first, 66, 4):
            if found.store.read(row)[:4] != row.to_bytes(4, "big"):
                wrong.append(row)
            peaks.append((pa.total_allocated_bytes() - before) >> 20)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong and len(peaks) == 66
    assert max(peaks) < most
    assert found.store.take(np.array([5])).read(0)[:4] == (5).to_bytes(4, "big")  # and back


def test_a_full_disk_is_told_where_a_large_table_is_copied_aside(tmp_path, read, small_disk, monkeypatch):
    blob = np.random.default_rng(0).bytes(1 << 20)
    found = read(
        shard(
            tmp_path / "a.parquet",
            [at.to_bytes(4, "big") + blob for at in range(66)],
            [0, 1] * 33,
            group=1000,
        )
    )
    monkeypatch.setattr("tempfile.tempdir", str(small_disk("200k")))
    with pytest.raises(DiskError, match=r"disk0"):
        decoding.load(found.store, np.arange(66), height=9, width=9, channels=1, threads=2)


def test_check_and_the_task_know_it_from_a_table(tmp_path, picture):
    path = shard(tmp_path / "a.parquet", [picture(at) for at in range(4)], [0, 1, 1, 1])
    assert manifests.names_pictures(path)
    told = describe(read_source(path, classes_file=None))
    assert told["lines"][:2] == ["format: Parquet with the pictures inside", "pictures: 4, classes: 2"]
    assert told["counts"] == {"cat": 1, "dog": 3}
    parquet.write_table(pa.table({"payload": pa.array([b"x"]), "y": [1]}), tmp_path / "t.parquet")
    assert not manifests.names_pictures(tmp_path / "t.parquet")


# ---------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        pytest.param(
            [0, 2], ("a", "b"), "has the label 2, and its metadata names 2 classes", id="beyond the names"
        ),
        pytest.param([0.5, 1.5], None, r"are of a kind that is no class \('0.5'\)", id="fractions"),
    ],
)
def test_labels_that_are_no_classes_are_refused(tmp_path, picture, read, labels, names, message):
    path = shard(tmp_path / "a.parquet", [picture(0), picture(1)], labels, names=names)
    with pytest.raises(SourceError, match=message):
        read(path)


def test_a_file_without_labels_or_beside_another_kind_is_refused(tmp_path, picture, read):
    path = shard(tmp_path / "a.parquet", [picture(0)], [0], column="caption")
    with pytest.raises(
        SourceError, match=r"has no column of labels \(columns: image, caption\)\. Call it label"
    ):
        read(path)
    shard(tmp_path / "f/a.parquet", [picture(0)], [0])
    parquet.write_table(pa.table({"x": [1]}), tmp_path / "f/b.parquet")
    with pytest.raises(
        SourceError, match=r"b\.parquet has no column of pictures, and other files beside it have"
    ):
        read(tmp_path / "f")


@pytest.mark.parametrize("metadata", [b"{", b"[]", b'{"info": {"features": {"label": 3}}}', b"[" * 100_000],
                         ids=["cut", "list", "number", "deep"])  # fmt: skip
def test_metadata_that_is_nonsense_leaves_numbers(tmp_path, picture, read, metadata):
    images = pa.array([{"bytes": picture(0)}, {"bytes": picture(1)}], STRUCT)
    table = pa.table({"image": images, "label": [7, 8]}).replace_schema_metadata({b"huggingface": metadata})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").index.classes == ("7", "8")


def test_a_file_that_is_cut_or_gone_is_named(tmp_path, picture, read):
    path = shard(tmp_path / "a.parquet", [picture(at) for at in range(9)], [0, 1, 1] * 3)
    good = path.read_bytes()
    found = read(path)
    for data in (good[:-20], good[:100], b"PAR1", b""):
        path.write_bytes(data)
        with pytest.raises(SourceDamaged, match=r"a\.parquet is damaged or cut short"):
            read(path)
    loaded = decoding.load(found.store, np.arange(9), height=9, width=9, channels=1, threads=2)
    assert len(loaded.broken) == 9
    path.unlink()
    loaded = decoding.load(found.store, np.arange(9), height=9, width=9, channels=1, threads=2)
    assert {one.reason for one in loaded.broken} == {"the file does not exist"}
