"""`vistazo tune --learning-rate`: a rate found, and trained beside the recipe's own; gone on with, and refused."""

import json

import pytest

import vistazo
from vistazo.errors import RunError

SMALL = ("--epochs=1", "--filters=8,16", "--threads=1")


def test_a_rate_is_found_and_trained_beside_the_recipes(verb, wardrobe, in_tmp):
    told = verb("tune", wardrobe, "--learning-rate", *SMALL, "--out=lr", "--json").json
    assert told["suggested"] > 0 and told["usual"] > 0
    assert told["validation"].keys() == {"suggested", "recipe"}
    for name in told["validation"]:
        assert (in_tmp / "lr" / name / "model.vistazo").exists()
    assert (in_tmp / "lr/learning-rate.html").read_text().startswith("<!doctype html>")
    frozen = json.loads((in_tmp / "lr/suggested/config.json").read_text())
    assert frozen["settings"]["learning_rate"] == "auto"

    said = verb("resume", "lr", "--lang=es")
    assert said.code == 0 and said.out.splitlines()[-1].startswith("siguiente: vistazo entrenar FUENTE")
    assert verb("resume", "lr", "--json").json["suggested"] == told["suggested"]
    assert verb("resume", "lr", "--epochs=2").code == 2
    with pytest.raises(RunError, match="is a search, not a run"):
        vistazo.resume("lr")
    asked = json.loads((in_tmp / "lr/config.json").read_text())
    (in_tmp / "lr/config.json").write_text(json.dumps({"finds": asked["finds"]}))
    damaged = verb("resume", "lr")
    assert damaged.code == 1 and "config.json is damaged" in damaged.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--learning-rate", "--search=batch=16,32"], "searches nothing else: leave out batch"),
        (["--learning-rate", "--trials=3"], "searches nothing else: leave out trials"),
        (["--learning-rate", "--folds=3"], "trains twice: leave out --folds"),
    ],
)
def test_what_does_not_go_together_is_told_before_anything_is_trained(verb, wardrobe, in_tmp, words, says):
    said = verb("tune", wardrobe, *words, "--out=lr")
    assert said.code in (1, 2) and says in said.err
    assert not list(in_tmp.glob("lr/*/model.vistazo"))


def test_a_table_has_no_rate_to_find(verb, in_tmp):
    (in_tmp / "t.csv").write_text(
        "a,b,kind\n" + "".join(f"{at},{at * 7 % 5},{'xy'[at % 2]}\n" for at in range(60))
    )
    said = verb("tune", "t.csv", "--learning-rate", "--target=kind")
    assert said.code == 2 and "finds learning rates for pictures only" in said.err
