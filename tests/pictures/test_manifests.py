import zipfile

import numpy as np
import pytest

from vistazo.errors import SourceDamaged, SourceError, SourceMissing, TooFewExamples
from vistazo.pictures.index import write_index
from vistazo.pictures.sources import read_source


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_manifest_in_any_dialect(tmp_path, encoding, delimiter, write, read, table):
    write(tmp_path, "fotos/ñu 1.png", "fotos/2.png", "3.png", "fotos/4.png")
    rows = [
        "Ruta,Etiqueta,Parte,Grupo",
        "fotos/ñu 1.png,ñu,Entrenamiento,7",
        r"fotos\2.png,gato,prueba,10",
        "3.png,ñu,,",
    ]
    rows += ["fotos/4.png,gato,train,7", "falta.png,gato,,", "fotos/2.png,,,"]
    (tmp_path / "m.csv").write_text("\r\n".join(rows).replace(",", delimiter), encoding=encoding)
    source = read(tmp_path / "m.csv")
    assert table(source) == {
        "fotos/ñu 1.png": ("ñu", "train"),
        "fotos/2.png": ("gato", "test"),
        "3.png": ("ñu", ""),
        "fotos/4.png": ("gato", "train"),
    }
    assert source.index.group.tolist() == [0, 1, -1, 0]
    assert [(fault.where, fault.reason) for fault in source.broken] == [
        ("falta.png", "the file does not exist"),
        ("fotos/2.png", "it has no label"),
    ]
    assert source.store.read(2) == (tmp_path / "3.png").read_bytes()


def test_a_parquet_manifest_and_absolute_paths(tmp_path, picture, write, read):
    import pyarrow as pa
    from pyarrow import parquet

    write(tmp_path, "a/1.png", "b/1.png")
    columns = {"path": [str(tmp_path / "a/1.png"), str(tmp_path / "b/1.png")], "label": [1, 2]}
    (tmp_path / "m").mkdir()
    parquet.write_table(pa.table(columns), tmp_path / "m/m.parquet")
    assert read(tmp_path / "m/m.parquet").index.classes == ("1", "2")
    (tmp_path / "m/m.parquet").write_bytes(b"PAR1 and then nothing PAR1")
    with pytest.raises(SourceDamaged, match=r"m\.parquet is damaged or cut short"):
        read(tmp_path / "m/m.parquet")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", TooFewExamples, r"m\.csv is empty"),
        ("x,y\n1,2\n", SourceError, r"no column with paths of pictures that exist \(columns: x, y\)"),
        ("path,label\nno.png,a\n", SourceError, "no column with paths of pictures that exist"),
        ("path,name\na.png,a\n", SourceError, r"no column of labels \(columns: path, name\)"),
        (
            "path,label,split\na.png,a,fold1\n",
            SourceError,
            "names the parts fold1. Known: train, validation, test",
        ),
        ("path,label\na.png,\n", TooFewExamples, "no row with both a picture and a label"),
        ("path,label\n../m/a.png,a\n../b.png,a\n", SourceDamaged, r"'\.\./m/a\.png' leads out of"),
        ("path,label\na.png,a\nx/../../b.png,a\n", SourceDamaged, "leads out of"),
        ("path,label\na.png,a\n..\\b.png,a\n", SourceDamaged, "leads out of"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(tmp_path, text, error, message, write, read):
    write(tmp_path, "m/a.png", "b.png")
    (tmp_path / "m/m.csv").write_text(text)
    with pytest.raises(error, match=message):
        read(tmp_path / "m/m.csv")


def test_a_column_of_paths_is_found_under_any_name(tmp_path, write, read):
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "m.csv").write_text("id,foto,clase\n1,a.png,x\n2,b.png,y\n")
    assert read(tmp_path / "m.csv").index.where == ("a.png", "b.png")


# ---------------------------------------------------------------- the index of a run
@pytest.mark.parametrize("kind", ["folder", "archive", "idx"])
def test_the_index_of_a_run_is_a_source(tmp_path, kind, write, read, archive_of, idx_folder, members):
    make = {
        "folder": lambda: write(tmp_path / "d", *members),
        "archive": lambda: archive_of(tmp_path / "d.zip", members, zipfile.ZIP_DEFLATED),
        "idx": lambda: idx_folder(tmp_path / "d"),
    }
    first = read(make[kind]())
    split = np.where(np.arange(len(first.index)) < 2, "validation", first.index.split)
    index = first.index.replace(split=split, group=np.arange(len(split))).take(np.arange(len(split))[::-1])
    (tmp_path / "run").mkdir()
    write_index(index, tmp_path / "run/index.parquet")
    again = read(tmp_path / "run/index.parquet")
    assert again.index.where == index.where
    assert again.index.split.tolist() == index.split.tolist()
    assert again.index.group.tolist() == index.group.tolist()
    assert again.index.source == first.index.source
    np.testing.assert_array_equal(
        np.asarray(again.store.read(0)), np.asarray(first.store.read(len(split) - 1))
    )


def test_an_index_whose_pictures_are_gone_says_where_they_were(tmp_path, read, archive_of, members):
    path = archive_of(tmp_path / "d.zip", members, zipfile.ZIP_DEFLATED)
    write_index(read(path).index, tmp_path / "index.parquet")
    path.unlink()
    with pytest.raises(SourceMissing, match=r"were in .*d\.zip, and nothing is there now"):
        read(tmp_path / "index.parquet")
    write_index(read((np.zeros((2, 4, 4)), [0, 1])).index, tmp_path / "index.parquet")
    with pytest.raises(SourceMissing, match="belongs to arrays in memory"):
        read(tmp_path / "index.parquet")


def test_a_cell_that_is_too_long_for_a_name_is_a_missing_file(tmp_path, write, read):
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "m.csv").write_text("path,label\na.png,x\nb.png,y\n" + "ñ" * 300 + ",x\n", encoding="utf-8")
    assert [fault.reason for fault in read(tmp_path / "m.csv").broken] == ["the file does not exist"]


def test_an_index_whose_paths_are_no_text_is_named(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "index.parquet"
    write_index(read_source((np.zeros((2, 4, 4)), [0, 1]), classes_file=None).index, path)
    table = parquet.read_table(path)
    parquet.write_table(table.set_column(0, "path", pa.nulls(2, pa.string())), path)
    with pytest.raises(SourceDamaged, match="is not an index written by Vistazo, or it was damaged"):
        read_source(path, classes_file=None)
