"""`train --corrections`: the run does what the file said, whatever becomes of the file; the source is not touched."""

import json

import pytest

from vistazo.classification import correcting
from vistazo.errors import SourceError
from vistazo.pictures.index import read_index

REVIEW = (
    "path,finding,suggestion,action\r\nazul/a1x.png,blank,exclude,exclude\r\nrojo/a2x.png,,,relabel:azul\r\n"
)


@pytest.fixture
def colours(folder_of_pictures, in_tmp):
    (in_tmp / "review.csv").write_text(REVIEW, encoding="utf-8-sig", newline="")
    return folder_of_pictures(in_tmp / "colours", "azul", "rojo", each=20)


def rows(run):
    index = read_index(run / "index.parquet")
    return dict(zip(index.where, (index.classes[at] for at in index.label), strict=True))


def files(run):
    skip = ("status.json", "times.jsonl", "lock", "config.json", "report.html")
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in skip and "checkpoints" not in path.parts
    }


def test_the_run_is_corrected_and_the_source_stays(verb, colours, in_tmp, tiny):
    before = {path: path.read_bytes() for path in colours.rglob("*.png")}
    said = verb("train", colours, "--corrections", "review.csv", *tiny, "--out", "r")
    assert said.code == 0, said.err
    assert said.err.count("Corrections of review.csv: pictures left out: 1, of another class: 1.") == 1
    found = rows(in_tmp / "r")
    assert len(found) == 39 and "azul/a1x.png" not in found
    assert found["rojo/a2x.png"] == "azul"
    assert {path: path.read_bytes() for path in colours.rglob("*.png")} == before
    assert "Corrections of review.csv" in (in_tmp / "r" / "report.html").read_text(encoding="utf-8")
    kept = (in_tmp / "r" / "corrections.csv").read_text(encoding="utf-8-sig")
    assert kept.splitlines() == ["path,finding,suggestion,action", "azul/a1x.png,,,exclude",
                                 "rojo/a2x.png,,,relabel:azul"]  # fmt: skip


def test_resumed_and_reproduced_without_the_file_it_comes_out_the_same(verb, colours, in_tmp, tiny):
    assert verb("train", colours, "--corrections", "review.csv", *tiny, "--out", "r", "--quiet").code == 0
    (in_tmp / "review.csv").unlink()
    said = verb("reproduce", "r", "--out", "again", "--json")
    assert said.json["equal"] is True
    assert files(in_tmp / "again")["corrections.csv"] == files(in_tmp / "r")["corrections.csv"]
    assert verb("resume", "r", "--epochs", "3", "--quiet").code == 0
    assert len(rows(in_tmp / "r")) == 39


def test_an_edited_file_is_another_run_and_a_file_laid_out_otherwise_is_not(verb, colours, in_tmp, tiny):
    words = ("train", colours, "--corrections", "review.csv", *tiny, "--out", "r", "--quiet")
    assert verb(*words).code == 0
    (in_tmp / "review.csv").write_text(
        "action;path\nrelabel:azul;rojo/a2x.png\nkeep;azul/a0x.png\nexclude;azul/a1x.png\n"
    )
    assert verb(*words).code == 0
    (in_tmp / "review.csv").write_text("action;path\nexclude;rojo/a2x.png\n")
    said = verb(*words)
    assert said.code == 1
    assert said.err.startswith("r holds a run with another corrections (")


def test_the_settings_of_a_run_can_be_given_to_another(verb, colours, in_tmp, tiny):
    assert verb("train", colours, "--corrections", "review.csv", *tiny, "--out", "r", "--quiet").code == 0
    said = verb("train", colours, "--config", "r/config.json", "--out", "again", "--quiet")
    assert said.code == 0, said.err
    assert len(rows(in_tmp / "again")) == 39


def test_several_runs_and_the_one_beside_are_corrected_alike(verb, colours, in_tmp, tiny):
    words = ("--corrections", "review.csv", *tiny, "--epochs", "1", "--quiet")
    said = verb("train", colours, *words, "--folds", "2", "--out", "f")
    assert said.code == 0, said.err
    for folder in ("f", "f/fold-1", "f/fold-2", "f/all"):
        assert len(rows(in_tmp / folder)) == 39
    said = verb("train", colours, *words, "--beside", "on", "--recipe", "quick", "--out", "b")
    assert said.code == 0, said.err
    assert len(rows(in_tmp / "b" / "balanced")) == 39


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "There is no file of corrections at "),
        ("path,action\nazul/a1x.png,drop\n", "line 2: there is no action 'drop'"),
        (
            "path,action\nazul/a1x.png,relabel:roja\n",
            "line 2: there is no class 'roja'. Did you mean 'rojo'?",
        ),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_learnt(verb, colours, in_tmp, tiny, text, says):
    (in_tmp / "review.csv").unlink()
    if text:
        (in_tmp / "review.csv").write_text(text, encoding="utf-8")
    said = verb("train", colours, "--corrections", "review.csv", *tiny, "--out", "r", "--quiet")
    assert said.code == 1
    assert says in said.err and said.err.count("\n") == 1
    assert not (in_tmp / "r" / "model.vistazo").exists()


def test_without_the_file_and_without_its_copy_a_sentence_says_so(verb, colours, in_tmp, tiny, monkeypatch):
    assert verb("train", colours, "--corrections", "review.csv", *tiny, "--out", "r", "--quiet").code == 0
    config = json.loads((in_tmp / "r" / "config.json").read_text(encoding="utf-8"))
    (in_tmp / "r" / "corrections.csv").write_text("path,action\n", encoding="utf-8")
    (in_tmp / "review.csv").write_text("path,action\n", encoding="utf-8")

    class Run:
        folder, outer = in_tmp / "r", None

    Run.config = config
    with pytest.raises(SourceError, match="does not say any more what it said"):
        correcting.kept(Run, config["settings"]["corrections"])


def test_paths_the_source_does_not_have_are_named(verb, colours, in_tmp, tiny):
    with open(in_tmp / "review.csv", "a", encoding="utf-8") as file:
        file.write("verde/1.png,blank,exclude,exclude\r\n")
    said = verb("train", colours, "--corrections", "review.csv", *tiny, "--out", "r")
    assert said.code == 0
    assert said.err.count("review.csv names pictures that ") == 1
    assert "does not have: 1 (verde/1.png)." in said.err
