"""Shapes and counts of a network in words, by hand; and what does not fit, by the first layer at fault."""

import time

import pytest

from vistazo.networks.word_grammar import WordsError
from vistazo.networks.word_table import objective, padding_of, table, tell

END = "dense classes softmax"


def told(words, height=28, width=28, channels=1, classes=10):
    return [(row.name, row.shape, row.parameters) for row in table(words, height, width, channels, classes)]


def test_the_digits_network_is_told_as_its_tutorial_prints_it():
    assert told(["conv 32 3x3 relu", "pool 2", "flatten", "dense 100 relu", END]) == [
        ("conv1", (26, 26, 32), 320),
        ("pool1", (13, 13, 32), 0),
        ("flatten1", (5408,), 0),
        ("dense1", (100,), 540_900),
        ("dense2", (10,), 1_010),
    ]


@pytest.mark.parametrize(
    ("line", "shape", "parameters"),
    [
        ("conv 8 5x3", (17, 26, 8), 8 * (3 * 5 * 3 + 1)),
        ("conv 8 5x3 same", (21, 28, 8), 8 * (3 * 5 * 3 + 1)),
        ("conv 6 3x3 stride=2", (10, 13, 6), 6 * 28),
        ("conv 6 3x3 same stride=2", (11, 14, 6), 6 * 28),
        ("conv 6 3x3 groups=3", (19, 26, 6), 6 * (9 + 1)),
        ("conv 6 3x3 prelu", (19, 26, 6), 6 * 28 + 6),
        ("depthwise 3x3", (19, 26, 3), 3 * (9 + 1)),
        ("depthwise 3x3 same prelu", (21, 28, 3), 3 * (9 + 1) + 3),
        ("pool 2", (10, 14, 3), 0),
        ("pool 2 same", (11, 14, 3), 0),
        ("pool 2x3", (10, 9, 3), 0),
        ("pool 3 stride=2", (10, 13, 3), 0),
        ("pool 3 average same stride=2", (11, 14, 3), 0),
        ("globalpool", (3,), 0),
        ("globalpool max", (3,), 0),
        ("batchnorm", (21, 28, 3), 12),
        ("dropout 0.5", (21, 28, 3), 0),
        ("flatten", (21 * 28 * 3,), 0),
        ("dense 7 relu", (7,), 7 * (21 * 28 * 3 + 1)),
        ("dense classes", (4,), 4 * (21 * 28 * 3 + 1)),
        ("prelu", (21, 28, 3), 3),
    ],
)
def test_each_layer_gives_the_shape_and_holds_the_numbers_of_its_definition(line, shape, parameters):
    rows = [row for row in table([line, END], 21, 28, 3, 4) if row.number == 1]
    assert [(row.shape, row.parameters) for row in rows] == [(shape, parameters)]


def test_what_comes_before_a_dense_layer_is_flattened_and_shown_without_a_number():
    rows = table(["conv 2", END], 5, 5, 1, 3)
    assert [(row.number, row.words, row.shape) for row in rows] == [
        (1, "conv 2 3x3 valid", (3, 3, 2)),
        (0, "flatten", (18,)),
        (2, END, (3,)),
    ]
    assert told(["conv 2", "flatten", END], 5, 5)[-1] == told(["conv 2", END], 5, 5)[-1]


def test_the_table_is_told_in_plain_numbers_with_its_sums():
    given = tell(table(["conv 2 relu", "batchnorm", END], 5, 5, 1, 3), "mine")
    assert given["input"] == [5, 5, 1]
    assert (given["parameters"], given["trainable"], given["statistics"], given["frozen"]) == (
        20 + 8 + 57,
        20 + 4 + 57,
        4,
        0,
    )
    assert [one["number"] for one in given["layers"]] == [1, 2, None, 3]
    assert given["layers"][0]["neurons"] == 18


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (["dense classes softmax"], "cross_entropy"),
        (["dense classes"], "cross_entropy"),
        (["dense classes linear"], "cross_entropy"),
        (["dense classes sigmoid"], "squashed_cross_entropy"),
        (["dense classes", "softmax"], "cross_entropy"),
        (["dense 10", "activation sigmoid"], "squashed_cross_entropy"),
    ],
)
def test_the_last_activation_says_which_loss_reads_the_scores(last, loss):
    table(last, 8, 8, 1, 10)
    assert objective(last) == loss


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["conv 8", "pool 2", "conv 8", "pool 2", "conv 8", "dropout 0.1", "conv 64 5x5", "con 3", END],
            "Layer 8 (`con 3`)",  # words come before shapes
        ),
        (
            ["conv 8", "pool 2", "conv 8", "pool 2", "conv 8", "dropout 0.1", "conv 64 5x5", "pool 9", END],
            "Layer 7 (`conv 64 5x5 valid`): it meets 3 x 3 places, too few for 5 x 5.",
        ),
        (["pool 29", END], "Layer 1 (`pool 29x29 max valid`): it meets 28 x 28 places, too few for 29 x 29"),
        (["flatten", "conv 3", END], "Layer 2 (`conv 3 3x3 valid`): the picture is 784 numbers by then"),
        (["dense 5", "pool 2", END], "Layer 2 (`pool 2x2 max valid`): the picture is 5 numbers by then"),
        (["globalpool", "globalpool", END], "Layer 2 (`globalpool average`): the picture is 1 numbers"),
        (["conv 8", "conv 9 groups=3", END], "Layer 2 (`conv 9 3x3 valid groups=3`): the 8 channels it gets"),
        (["conv 8", "conv 9 groups=4", END], "its 9 filters cannot both be divided into 4 groups"),
        (["conv 8"], "Layer 1 (`conv 8 3x3 valid`): the last layer has to be `dense classes softmax`"),
        (["relu"], "Layer 1 (`relu`): the last layer has to be"),
        ([END, "dropout 0.1"], "Layer 2 (`dropout 0.1`): the last layer has to be"),
        ([END, "softmax"], "Layer 2 (`softmax`): the last layer has to be"),
        (["dense classes relu"], "Layer 1 (`dense classes relu`): the last layer takes softmax, sigmoid or no"),
        (["dense classes", "relu"], "Layer 2 (`relu`): the last layer takes softmax, sigmoid or no activation"),
        (["dense 12 softmax"], "Layer 1 (`dense 12 softmax`): it gives 12 scores, and there are 10 classes"),
        (["dense 99999", "dense 99999", END], "Layer 2 (`dense 99999`): it brings the network to 10,078,"),
        (["conv 10000 1x1"] * 16 + [END], "Layer 2 (`conv 10000 1x1 valid`): it brings the network to 100,030,000"),
        (["conv 9000 1x1", *["relu"] * 20, END], "Layer 15 (`relu`): it brings the network to 105,840,000 neurons"),
    ],
)  # fmt: skip
def test_the_first_layer_at_fault_is_named_with_what_is_wrong(words, sentence):
    with pytest.raises(WordsError) as caught:
        table(words, 28, 28, 1, 10)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "name_and_value",
    [("height", 0), ("width", -3), ("channels", 10**9), ("classes", 10**9), ("height", "28"), ("width", 28.0),
     ("channels", None), ("classes", True), ("height", [28])],
)  # fmt: skip
def test_sizes_from_a_strangers_file_are_asked_for_what_they_are(name_and_value):
    name, value = name_and_value
    sides = {"height": 28, "width": 28, "channels": 1, "classes": 10, name: value}
    with pytest.raises(WordsError, match=f"'{name}' is a whole number"):
        table([END], **sides)


def test_whatever_is_refused_is_refused_at_once():
    began = time.process_time()
    for words in (["conv 10000 100x100 same"] * 200 + [END], ["dense 100000"] * 199 + [END], "relu;" * 10**6):
        with pytest.raises(WordsError):
            table(words, 10_000, 10_000, 10_000, 100_000)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"),
    [(28, 3, 1, (1, 1)), (28, 2, 1, (0, 1)), (28, 3, 2, (0, 1)), (27, 3, 2, (1, 1)), (5, 2, 2, (0, 1)), (4, 1, 3, (0, 0)),
     (7, 5, 3, (2, 2)), (3, 7, 1, (3, 3))],
)  # fmt: skip
def test_same_borders_are_padded_as_tensorflow_has_written_down(side, kernel, stride, padding):
    assert padding_of(side, kernel, stride) == padding
