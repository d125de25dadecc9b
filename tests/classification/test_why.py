"""What a report asks the network: where it looks, what it goes by, how the pictures lie to one another."""

import json
from dataclasses import replace

import numpy as np
import pytest

import vistazo
from vistazo.classification import why
from vistazo.classification.evaluating.answers import Answers
from vistazo.pictures.holding import PictureArray


@pytest.fixture(scope="module")
def model(trained):
    return vistazo.load(trained)


@pytest.fixture(scope="module")
def answers(model, clothes):
    pictures, labels = clothes[0][300:, :, :, None].copy(), clothes[1][300:].astype(np.int64)
    return Answers(
        classes=model.classes,
        where=tuple(f"{at}.png" for at in range(len(pictures))),
        labels=labels,
        probabilities_NK=model.probabilities(pictures),
        pixels=PictureArray(pictures),
    )


def test_three_sections_are_told_and_the_network_stays_as_it_was(model, answers):
    before = {name: one.clone() for name, one in model.network.state_dict().items()}
    asked = why.ask(model, answers, seed=0)
    assert [one.title for one in asked.sections()] == [
        "What it looks at", "What stands beside the thing", "How the pictures lie to one another",
    ]  # fmt: skip
    assert asked.to_json() == why.ask(model, answers, seed=0).to_json()
    after = model.network.state_dict()
    assert all(bool((after[name] == one).all()) for name, one in before.items())
    assert all(one.grad is None for one in model.network.parameters())


def test_the_surest_mistakes_come_first_each_with_the_right_class_beside(model, answers):
    section = why.ask(model, answers, seed=0, whole=False).sections()[0]
    first = section.blocks[1].pictures[0]
    wrong = np.flatnonzero(~answers.right)
    surest = int(wrong[answers.confidence[wrong].argmax()])
    answered, right = answers.answered(surest), answers.named(surest)
    assert first.caption[2] == answers.where[surest]
    assert first.caption[0].startswith(answered)
    assert f"· {right} " in first.caption[0]
    assert first.caption[1] == f"is labelled {right}"


def test_where_time_was_given_only_a_few_maps_are_drawn(model, answers):
    asked = why.ask(model, answers, seed=0, whole=False)
    assert [one.title for one in asked.sections()] == ["What it looks at"]
    assert asked.sections()[0].blocks[-1].text.endswith("vistazo evaluate MODEL SOURCE --out FOLDER")
    assert asked.to_json() is None


def test_of_many_pictures_a_thousand_are_asked_about(model, answers):
    rows = np.arange(1100) % len(answers.where)
    many = Answers(
        classes=answers.classes,
        where=tuple(answers.where[row] for row in rows),
        labels=answers.labels[rows],
        probabilities_NK=answers.probabilities_NK[rows],
        pixels=answers.pixels.take(rows),
    )
    assert why.ask(model, many, seed=0).to_json()["pictures"] == 1000


def test_one_answer_for_all_is_told_without_what_cannot_be_asked(model, answers):
    single = replace(model, views=model.views[:1])
    given = single.probabilities(answers.pixels).argmax(1)
    own = np.flatnonzero(given == given[0])
    alike = Answers(
        classes=answers.classes,
        where=tuple(answers.where[row] for row in own),
        labels=answers.labels[own],
        probabilities_NK=answers.probabilities_NK[own],
        pixels=answers.pixels.take(own),
    )
    titles = [one.title for one in why.ask(single, alike, seed=0).sections()]
    assert "What stands beside the thing" not in titles
    assert titles[0] == "What it looks at"


def test_of_large_pictures_fewer_are_asked_about():
    assert len(why._drawn((5000, 224, 224, 3), 0)) == 1000
    assert len(why._drawn((5000, 1024, 1024, 3), 0)) == 100
    assert len(why._drawn((70, 1024, 1024, 3), 0)) == 70


def test_a_network_that_cannot_be_asked_costs_nobody_the_report(model, answers, monkeypatch):
    def break_off(*given, **named):
        raise RuntimeError("element 0 of tensors does not require grad\nand more")

    monkeypatch.setattr(why, "picture_maps", break_off)
    asked = why.ask(model, answers, seed=0)
    last = asked.sections()[-1]
    assert last.title == "Why it answers so" and asked.to_json() is None
    assert last.blocks[0].text.endswith("this network: element 0 of tensors does not require grad")


def test_reports_of_training_and_evaluation_hold_it(trained, model, wardrobe, in_tmp):
    page = (trained / "report.html").read_text(encoding="utf-8")
    told = model.evaluate(wardrobe, out=in_tmp / "ev")
    other = (in_tmp / "ev" / "evaluation.html").read_text(encoding="utf-8")
    for title in ("What it looks at", "What stands beside the thing", "How the pictures lie to one another"):
        assert f"<h2>{title}</h2>" in page
        assert f"<h2>{title}</h2>" in other
    assert told["co_occurrence"]["pictures"] == 100
    assert json.loads((in_tmp / "ev" / "metrics.json").read_text())["co_occurrence"] == told["co_occurrence"]
