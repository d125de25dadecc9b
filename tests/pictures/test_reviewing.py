"""review.csv comes back as it was written, by whatever wrote it, and corrects a source without touching it."""

import csv
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vistazo.errors import SourceDamaged, SourceError, SourceMissing
from vistazo.pictures import reviewing
from vistazo.pictures.health import Finding
from vistazo.pictures.reviewing import Row, apply, canonical, corrections, read, rows_of, seal, to_csv, write
from vistazo.pictures.sources import read_source

NASTY = ["=1+1.jpg", "+a/b.jpg", "-x.jpg", "@SUM(A1).png", "'quoted'.jpg", "'=both.jpg", 'a,"b";c.jpg', "ñandú/á.jpg",
         " spaces .jpg", "two\nlines.jpg", "\ttab.jpg"]  # fmt: skip


def asked(path, *lines):
    path.write_text("\n".join(["path,finding,suggestion,action", *lines]), encoding="utf-8")
    return corrections(read(path), path)


# ---------------------------------------------------------------- the file
def test_names_that_would_be_formulas_come_back_unharmed(tmp_path):
    rows = [Row(name, "blank", "exclude", "exclude") for name in NASTY]
    write(tmp_path / "review.csv", rows)
    assert [row.path for row in read(tmp_path / "review.csv")] == NASTY
    data = (tmp_path / "review.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfpath,finding,suggestion,action\r\n")
    with open(tmp_path / "review.csv", encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")] == [], (
        "a spreadsheet would compute these"
    )


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), max_size=5
    )
)
def test_any_name_comes_back(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("r") / "review.csv"
    write(path, [Row(name, "blank", "exclude", "keep") for name in names])
    assert [row.path for row in read(path)] == names


@pytest.mark.parametrize(
    ("encoding", "sign"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("utf-16", "\t"), ("cp1252", ";"), ("utf-8", ";")],
)
def test_what_a_spreadsheet_saves_is_read(tmp_path, encoding, sign):
    lines = [["path", "finding", "suggestion", "action"], ["año/1.jpg", "blank", "exclude", "exclude"]]
    (tmp_path / "r.csv").write_bytes("\r\n".join(sign.join(line) for line in lines).encode(encoding))
    assert [(row.path, row.action) for row in read(tmp_path / "r.csv")] == [("año/1.jpg", "exclude")]


def test_a_person_may_write_two_columns_in_their_own_language(tmp_path):
    (tmp_path / "r.csv").write_text(
        "Acción;Ruta\nExcluir;a.jpg\nreetiquetar: perro ;b.jpg\nmover;c.jpg\n;d.jpg\n"
    )
    told = corrections(read(tmp_path / "r.csv"), tmp_path / "r.csv")
    assert {name: str(one) for name, one in told.items()} == {
        "a.jpg": "exclude",
        "b.jpg": "relabel:perro",
        "c.jpg": "move",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,action\na.jpg,keep\nb.jpg,delete\n", "line 3: there is no action 'delete'. Known: keep"),
        ('path,action\n"a\nb.jpg",keep\nb.jpg,relabel\n', "line 4: there is no action 'relabel'"),
        ("path,action\nb.jpg,relabel: \n", "line 2: there is no action 'relabel:"),
        ("path,action\nb.jpg,exclude:now\n", "line 2: there is no action 'exclude:now'"),
        ("file,what\nb.jpg,x\n", "has no column 'action' (its first line: file,what)"),
        ("name,action\nb.jpg,keep\n", "has no column 'path'"),
        ("", "is empty; its first line is path,finding,suggestion,action"),
        (
            "path,action\na.jpg,relabel:x\nb.jpg,keep\na.jpg,relabel:y\n",
            "line 4: 'a.jpg' is to become y, and x by line 2",
        ),
    ],
)
def test_what_cannot_be_understood_is_one_sentence_with_its_line(tmp_path, text, says):
    path = tmp_path / "r.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError) as told:
        corrections(read(path), path)
    assert says in str(told.value)
    assert "r.csv" in str(told.value)


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path):
    with pytest.raises(SourceMissing, match="no file of corrections at"):
        read(tmp_path / "nowhere.csv")
    (tmp_path / "x.csv").write_bytes(b"path,action\n" + b"x" * 200_000 + b",keep\n")
    with pytest.raises(SourceError, match="x.csv, line 2: it is no CSV"):
        read(tmp_path / "x.csv")
    (tmp_path / "big.csv").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reviewing, "MOST_BYTES", -1)
        with pytest.raises(SourceDamaged, match="larger than"):
            read(tmp_path / "big.csv")


def test_several_lines_about_one_picture_give_the_strongest(tmp_path):
    told = asked(
        tmp_path / "r.csv", "a.jpg,dark,,keep", "a.jpg,leak,,exclude", "a.jpg,x,,relabel:b", "b.jpg,,,keep"
    )
    assert {name: one.verb for name, one in told.items()} == {"a.jpg": "exclude"}
    told = asked(tmp_path / "r.csv", "a.jpg,x,,relabel:b", "a.jpg,y,,relabel:b", "a.jpg,z,,move")
    assert {name: one.verb for name, one in told.items()} == {"a.jpg": "move"}


def test_to_exclude_what_is_never_used_is_nothing_to_do(tmp_path):
    """Else training would miss it: whoever ticks all findings ticks the texts beside the pictures too."""
    told = asked(
        tmp_path / "r.csv", "a/notes.txt,not-a-picture,keep,exclude", "a/x.jpg,not-a-picture,exclude,exclude"
    )
    assert list(told) == ["a/x.jpg"]
    assert list(asked(tmp_path / "r.csv", "a/notes.txt,not-a-picture,keep,move")) == ["a/notes.txt"]


def test_findings_become_lines_and_only_those_to_be_fixed_get_an_action():
    findings = [
        Finding("blank", "a.jpg", "", "exclude", 0),
        Finding("suspected-label", "b.jpg", "", "relabel:dog", 1),
        Finding("imbalance", "dog", "", "keep"),
    ]
    assert [row.action for row in rows_of(findings, ())] == ["keep", "keep"]
    assert [row.action for row in rows_of(findings, ("suspected-label",))] == ["keep", "relabel:dog"]


def test_the_seal_depends_on_what_is_to_be_done_alone(tmp_path):
    one = asked(tmp_path / "r.csv", "a.jpg,dark,,exclude", "b.jpg,,,keep", "c.jpg,,,relabel:x")
    same = asked(tmp_path / "r.csv", "c.jpg,blank,,Relabel:x", "a.jpg,leak,exclude,EXCLUIR")
    other = asked(tmp_path / "r.csv", "a.jpg,dark,,exclude", "c.jpg,,,relabel:y")
    assert seal(one) == seal(same) != seal(other)
    (tmp_path / "k.csv").write_text(to_csv(canonical(one)), encoding="utf-8")
    assert seal(corrections(read(tmp_path / "k.csv"), tmp_path / "k.csv")) == seal(one)


# ---------------------------------------------------------------- applied
@pytest.fixture
def animals(folder_of_pictures, tmp_path):
    return folder_of_pictures(tmp_path / "animals", "cat", "dog", "emu", each=4)


def corrected(source, path, *lines):
    return apply(read_source(source, classes_file=None), asked(path, *lines), path)


def test_pictures_are_left_out_and_given_another_class_and_the_files_stay(animals, tmp_path):
    before = {path: path.read_bytes() for path in animals.rglob("*.png")}
    found = corrected(
        animals,
        tmp_path / "r.csv",
        "cat/a0x.png,,,exclude",
        "dog/a1x.png,,,relabel:cat",
        "emu/a2x.png,,,move",
    )
    table = dict(zip(found.index.where, (found.index.classes[at] for at in found.index.label), strict=True))
    assert len(table) == 10
    assert "cat/a0x.png" not in table and "emu/a2x.png" not in table
    assert table["dog/a1x.png"] == "cat"
    assert table["dog/a2x.png"] == "dog"
    assert [found.store.name(row) for row in range(10)] == list(found.index.where)
    assert {path: path.read_bytes() for path in animals.rglob("*.png")} == before
    assert found.notes[-1] == "Corrections of r.csv: pictures left out: 2, of another class: 1."


def test_windows_paths_and_names_with_an_apostrophe_are_found(animals, tmp_path):
    shutil.move(animals / "cat" / "a0x.png", animals / "cat" / "'x.png")
    found = corrected(animals, tmp_path / "r.csv", "cat\\a1x.png,,,exclude")
    assert "cat/a1x.png" not in found.index.where
    shutil.move(animals / "cat" / "'x.png", animals / "'x.png")
    (animals / "'c").mkdir()
    shutil.move(animals / "'x.png", animals / "'c" / "x.png")
    found = corrected(animals, tmp_path / "r.csv", "'c/x.png,,,exclude")
    assert "'c/x.png" not in found.index.where


def test_paths_that_are_not_there_are_told_and_those_that_were_moved_away_are_not(animals, tmp_path):
    lines = [f"none/{at}.png,,,exclude" for at in range(7)]
    found = corrected(animals, tmp_path / "r.csv", *lines, "gone.png,,,move", "cat/a0x.png,,,exclude")
    assert found.notes[-2] == "Corrections of r.csv: pictures left out: 1, of another class: 0."
    assert found.notes[-1].startswith("r.csv names pictures that ")
    told = ", ".join(f"none/{at}.png" for at in range(5))
    assert found.notes[-1].endswith(f"does not have: 7 ({told} ...).")


@pytest.mark.parametrize(
    ("label", "says"),
    [("catt", "line 2: there is no class 'catt'. Did you mean 'cat'?"), ("zzz", "Known: cat, dog, emu.")],
)
def test_a_class_that_does_not_exist_is_refused_with_its_line(animals, tmp_path, label, says):
    with pytest.raises(SourceError) as told:
        corrected(animals, tmp_path / "r.csv", f"cat/a0x.png,,,relabel:{label}")
    assert says in str(told.value)


def test_a_class_that_lost_all_its_pictures_is_no_class_any_more(animals, tmp_path):
    lines = [f"dog/a{at}x.png,,,{action}" for at, action in enumerate(["exclude", "relabel:emu"] * 2)]
    found = corrected(animals, tmp_path / "r.csv", *lines)
    assert found.index.classes == ("cat", "emu")
    assert np.bincount(found.index.label).tolist() == [4, 6]


def test_several_labels_are_corrected_together(picture, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(picture(ord(name[0])))
    (tmp_path / "m.csv").write_text("path,labels\na.png,sun|sea\nb.png,sun\nc.png,\n", encoding="utf-8")
    found = corrected(
        tmp_path / "m.csv", tmp_path / "r.csv", "b.png,,,relabel:sea|sun", "a.png,,,relabel:sun"
    )
    assert found.index.labels.tolist() == [[False, True], [True, True], [False, False]]


def test_a_broken_file_that_is_excluded_is_not_broken_any_more(tmp_path, picture):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(picture(ord(name)))
    (tmp_path / "m.csv").write_text("path,label\na/1.png,a\nb/1.png,b\nb/2.png,b\n", encoding="utf-8")
    assert len(read_source(tmp_path / "m.csv", classes_file=None).broken) == 1
    found = corrected(tmp_path / "m.csv", tmp_path / "r.csv", "b/2.png,,,exclude")
    assert found.broken == ()
    assert "pictures left out: 1" in found.notes[-1]
