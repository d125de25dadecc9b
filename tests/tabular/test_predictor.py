"""A trained model's answers: for files and values, with new categories, missing columns, and reasons."""

import datetime
from pathlib import Path

import numpy as np
import pytest

import vistazo
from vistazo.errors import ConfigError, SourceDamaged, TooFewExamples, UsageError
from vistazo.language import speaking
from vistazo.tabular import telling

ROW = {"length": 0.1, "width": 0.2, "place": "wood", "noise": 0.0}


@pytest.fixture(scope="module")
def flower(flower_run):
    return vistazo.load(flower_run.model)


@pytest.fixture(scope="module")
def house(house_run):
    return vistazo.load(house_run.model)


# ---------------------------------------------------------------- predict
def test_an_answer_is_a_class_with_its_probability_and_the_runners_up(flower):
    (answer,) = flower.predict([ROW])
    assert answer["row"] == 1
    assert (answer["class"], answer["top"][0][0]) == ("daisy", "daisy")
    assert sum(share for _, share in answer["top"]) == pytest.approx(1, abs=1e-5)
    (short,) = flower.predict([ROW], top=1)
    assert len(short["top"]) == 1


def test_an_answer_is_a_number_within_its_interval(house):
    (answer,) = house.predict({"area": [100], "age": [10]})
    assert answer["low"] < answer["value"] < answer["high"]
    assert answer["value"] == pytest.approx(95_000, rel=0.15)


def test_files_and_values_are_answered_alike_and_columns_may_come_in_any_order(flower, write_table, in_tmp):
    file = write_table(in_tmp / "new.csv", {"PLACE": ["wood", "field"], "extra": ["a", "b"], "noise": [0, 1],
                                            "width": [0.2, 2.0], "Length": [0.1, 1.0]})  # fmt: skip
    from_file = list(flower.predict([file]))
    assert flower.notes == ["not looked at, because training had no use for them: extra"]
    from_values = list(flower.predict([ROW, {"length": 1.0, "width": 2.0, "place": "field", "noise": 1}]))
    assert [one["row"] for one in from_file] == [2, 3]
    assert from_file[0]["file"] == str(file)
    for one, other in zip(from_file, from_values, strict=True):
        assert one["top"] == other["top"]
    assert flower.notes == []


def test_a_new_category_is_answered_and_told(flower):
    known, new = flower.predict([ROW, {**ROW, "place": "Madrid"}])
    assert "unknown" not in known
    assert new["unknown"] == ["place"]
    assert "never seen in training: place" in telling.answered(new)


def test_missing_cells_are_answered_and_missing_columns_named(flower):
    (answer,) = flower.predict([{**ROW, "length": None, "place": ""}])
    assert answer["class"]
    with pytest.raises(
        SourceDamaged, match=r"lacks columns that the model needs: width, noise\. It has: length"
    ):
        list(flower.predict([{"length": 1, "place": "wood"}]))


def test_a_row_that_cannot_be_answered_has_a_reason(flower):
    good, bad = flower.predict([ROW, {**ROW, "length": float("inf")}])
    assert "class" in good
    assert bad == {"row": 2, "reason": "'length' is infinite"}


def test_nothing_to_answer_is_a_mistake(flower):
    for nothing in ([], (), {}, None):
        with pytest.raises(UsageError, match="vistazo predict MODEL TABLE"):
            list(flower.predict(nothing))


def test_a_row_that_can_be_read_in_two_ways_is_read_as_the_training_file_was(learn, in_tmp):
    random = np.random.default_rng(0)
    lines = ["day;price;size"]
    for at in range(60):
        size = random.integers(1000, 9000)
        lines.append(f"{1 + at % 28:02d}/{1 + at % 12:02d}/2024;{size / 7:.3f};{size}".replace(".", ","))
    train = in_tmp / "train.csv"
    train.write_text("\n".join(lines))
    model = vistazo.load(learn(train, target="price").model)
    assert (model.settled.date_order, model.settled.decimal) == ("dmy", "comma")
    alone = in_tmp / "alone.csv"
    alone.write_text("day;size\n03/04/2024;1234\n")
    (from_file,) = model.predict([alone])
    (from_values,) = model.predict([{"day": datetime.date(2024, 4, 3), "size": 1234}])
    assert from_file["value"] == from_values["value"]


def test_where_training_shows_no_order_a_date_with_two_meanings_is_one_sentence_without_an_option(
    verb, learn, in_tmp
):
    train = in_tmp / "train.csv"
    rows = [f"2024-{1 + at % 12:02d}-{1 + at % 28:02d},{at},{at % 7}" for at in range(60)]
    train.write_text("\n".join(["day,price,size", *rows]))
    run = learn(train, target="price")
    alone = in_tmp / "alone.csv"
    alone.write_text("day,size\n03/04/2024,5\n")
    told = verb("predict", run.model, alone)
    assert told.code == 1
    assert "'03/04/2024' may begin with the day or with the month" in told.err
    assert "--" not in told.err


# ---------------------------------------------------------------- evaluate
def test_the_same_file_gives_the_test_part_back(flower, flower_run, flowers, write_table, in_tmp):
    file = write_table(in_tmp / "again.csv", flowers)
    told = flower.evaluate(file)
    figures = flower_run.metrics["test"]
    assert told["left_out"]["trained_on"] == 108
    assert told["metrics"]["n"] == 12
    assert told["metrics"]["log_loss"] == pytest.approx(figures["log_loss"])
    assert flower.evaluate(file, split="validation")["metrics"]["log_loss"] == pytest.approx(
        flower_run.metrics["validation"]["log_loss"]
    )
    assert flower.evaluate(file, split="all")["metrics"]["n"] == 120
    assert sum(one["support"] for one in told["classes"].values()) == 12
    assert told["notes"] == []


def test_a_model_that_left_its_run_says_that_its_figures_may_flatter(
    flower_run, flowers, write_table, in_tmp
):
    alone = in_tmp / "alone.vistazo"
    alone.write_bytes(Path(flower_run.model).read_bytes())
    told = vistazo.load(alone).evaluate(write_table(in_tmp / "again.csv", flowers))
    assert (told["metrics"]["n"], told["left_out"]["trained_on"]) == (120, 0)
    (note,) = told["notes"]
    assert str(alone) in note and "figures flatter" in note
    assert note in telling.evaluated(told)


def test_a_table_whose_column_names_a_test_part_is_measured_there(house):
    source = {"area": [50, 60, 70], "age": [1, 2, 3], "price": [50_000, 60_000, 70_000],
              "split": ["train", "test", "test"]}  # fmt: skip
    told = house.evaluate(source)
    assert (told["part"], told["metrics"]["n"]) == ("test", 2)


def test_rows_without_a_target_are_counted_and_unknown_classes_refused(flower):
    rows = [{**ROW, "flower": "daisy"}, {**ROW, "flower": ""}]
    assert flower.evaluate(rows)["left_out"] == {"trained_on": 0, "without_target": 1}
    with pytest.raises(ConfigError, match=r"does not know: orchid\. It knows: daisy, rose, tulip"):
        flower.evaluate([{**ROW, "flower": "orchid"}])
    with pytest.raises(TooFewExamples, match="no rows to evaluate on"):
        flower.evaluate([{**ROW, "flower": ""}])
    with pytest.raises(ConfigError, match="no column 'flower'"):
        flower.evaluate([ROW])


# ---------------------------------------------------------------- explain
def test_an_explanation_adds_up_and_names_what_counted(flower, house):
    why = flower.explain({**ROW, "length": 2.2, "width": 4.1, "place": "río"})
    assert why["class"] == "tulip"
    total = why["base"] + sum(one["contribution"] for one in why["columns"])
    assert total == pytest.approx(why["answer"], abs=1e-6)
    assert why["columns"][0]["name"] in ("length", "width", "place")
    assert {one["name"]: one["value"] for one in why["columns"]}["place"] == "río"
    large = house.explain({"area": 190, "age": 40})
    assert (large["columns"][0]["name"], large["columns"][0]["contribution"] > 0) == ("area", True)


# ---------------------------------------------------------------- what is said
def test_what_is_said_of_figures_and_answers(flower, house, flower_run, house_run, flowers):
    line = telling.measured(flower_run.metrics["test"])
    assert line.startswith("accuracy ") and "n = 12)" in line and "most common class 33.33%" in line
    assert "R² 0.9" in telling.measured(house_run.metrics["test"])
    lines = telling.evaluated(flower.evaluate(flowers))
    assert any(line.startswith("tulip") for line in lines)
    assert any("trained on them: 108" in line for line in lines)
    (answer,) = flower.predict([ROW])
    assert telling.answered(answer).startswith("row 1\tdaisy ")
    (price,) = house.predict({"area": [100], "age": [10]})
    assert "(80 %: " in telling.answered(price)
    assert telling.next_command("runs/x") == "next:   vistazo predict runs/x TABLE..."
    with speaking("es"):
        assert telling.plain_number(1234.5) == "1234"
        assert telling.plain_number(0.12345) == "0,1235" or telling.plain_number(0.12345) == "0,1234"


def test_one_cell_that_is_no_number_costs_its_own_row_alone_and_is_named(house, tmp_path):
    """Among five rows one such cell makes a column of texts; the other four are numbers all the same."""
    areas = ["100", "120", "unknown", "150", "180"]
    (tmp_path / "new.csv").write_text(
        "\n".join(["area,age", *(f"{one},10" for one in areas)]), encoding="utf-8"
    )
    told = list(house.predict(tmp_path / "new.csv"))
    assert any("cells of 'area' that were not understood: 1 (row 4: unknown)" in note for note in house.notes)
    alone = list(house.predict({"area": [100, 120, None, 150, 180], "age": [10] * 5}))
    assert [one["value"] for one in told] == pytest.approx([one["value"] for one in alone])


def test_decimal_commas_are_read_cell_by_cell_too(house, tmp_path):
    (tmp_path / "new.csv").write_text("area;age\n100,5;10\nmuchos;10\n", encoding="utf-8")
    first, _ = house.predict(tmp_path / "new.csv")
    (alone,) = house.predict({"area": [100.5], "age": [10]})
    assert first["value"] == pytest.approx(alone["value"])
