"""The language of a network in words: what is understood, what is refused and in which sentence, numbers by name."""

import pytest

from vistazo.errors import ConfigError
from vistazo.networks.word_grammar import WordsError, parse
from vistazo.networks.word_sums import calculate
from vistazo.networks.words import numbers, read_values, resolve, split

END = "dense classes softmax"


# ---------------------------------------------------------------- how it may be written
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["conv 32 3x3 relu", "pool 2", END], id="a list"),
        pytest.param("conv 32 3x3 relu; pool 2; dense classes softmax", id="a text"),
        pytest.param("conv 32 3x3 relu\n# halved\npool 2  # here\n\ndense classes softmax\n", id="a file"),
        pytest.param('["conv 32 3x3 relu", "pool 2", "dense classes softmax"]', id="a list as TOML has it"),
        pytest.param("  CONV 32  3 x 3 ReLU ;POOL 2x2;  Dense Classes SoftMax;", id="case and spaces"),
        pytest.param("conv2d filters=32 3×3 relu, maxpool size = 2, dense classes softmax", id="by name"),
        pytest.param("conv 32 relu valid; pool 2 max; dense classes softmax", id="what is usual"),
        pytest.param("conv relu 32; pool max 2; dense softmax classes", id="in another order"),
        pytest.param("conv {f=32} {k=3}x{k} relu; pool {f/16}; dense classes softmax", id="named numbers"),
    ],
)
def test_the_same_network_may_be_written_in_many_ways(words):
    assert resolve(words) == ["conv 32 3x3 relu valid", "pool 2x2 max valid", END]
    assert resolve(resolve(words)) == resolve(words)


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("conv 8", "conv 8 3x3 valid"),
        ("conv 8 5 same stride=2 groups=2 l1=1e-5 l2=.5", "conv 8 5x5 same stride=2 groups=2 l1=1e-05 l2=0.5"),
        ("conv 8 1x7 leaky_relu", "conv 8 1x7 leaky_relu=0.1 valid"),
        ("conv 8 leaky-relu=0.3", "conv 8 3x3 leaky_relu=0.3 valid"),
        ("conv 8 elu", "conv 8 3x3 elu=1.0 valid"),
        ("depthwise 5x5 swish same", "depthwise 5x5 swish same"),
        ("depthwise", "depthwise 3x3 valid"),
        ("pool 3 average same stride=2", "pool 3x3 average same stride=2"),
        ("globalpool", "globalpool average"),
        ("globalpool max", "globalpool max"),
        ("batchnorm", "batchnorm"),
        ("dropout .25", "dropout 0.25"),
        ("flatten", "flatten"),
        ("dense 32 silu", "dense 32 swish"),
        ("relu", "relu"),
        ("activation LeakyReLU = .2", "leaky_relu=0.2"),
        ("activation linear", "linear"),
    ],
)
def test_a_model_file_has_every_line_with_everything_said(line, whole):
    assert resolve([line, END]) == [whole, END]


# ---------------------------------------------------------------- what is not understood
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("con 32", "the word 'con' is not known there. Did you mean 'conv'?"),
        ("conv 32 rulu", "Did you mean 'relu'?"),
        ("conv", "its number of filters is missing, as in `conv 32 3x3 relu`"),
        ("conv relu", "its number of filters is missing"),
        ("conv 3x3", "its number of filters is missing"),
        ("dense relu", "its number of units is missing"),
        ("dropout", "its number of rate is missing"),
        ("pool", "its number of size is missing"),
        ("activation", "it does not say which activation"),
        ("conv 2.5", "`filters` is a whole number from 1 to 10000, not 2.5"),
        ("conv 0", "`filters` is a whole number from 1 to 10000, not 0"),
        ("conv -3", "`filters` is a whole number from 1 to 10000, not -3"),
        ("conv 999999999", "`filters` is a whole number from 1 to 10000, not 999999999"),
        ("conv 8 3x2.5", "`kernel` is a whole number from 1 to 100, not 2.5"),
        ("conv 8 3 3", "nothing is known of the number 3"),
        ("dense 3x3", "nothing is known of the number 3x3"),
        ("conv 8 relu tanh", "`activation` is said twice"),
        ("conv 8 same valid", "`padding` is said twice"),
        ("conv 8 l2=1 l2=2", "`l2` is said twice"),
        ("dense classes 10", "nothing is known of the number 10"),
        ("dense 10 classes", "`units` is said twice"),
        ("conv 8 l3=1", "Did you mean 'l2'?"),
        ("conv 8 l2=x", "`l2` is a number, not 'x'"),
        ("conv 8 l2=-1", "`l2` lies between 0 and 1000.0, not -1"),
        ("conv 8 relu=3", "the word 'relu' is not known there"),
        ("dropout 1", "`rate` is a share from 0 to less than 1, not 1"),
        ("dropout 0.3 relu", "nothing can follow, and 'relu' does"),
        ("flatten 3", "nothing is known of the number 3"),
        ("pool 2 relu", "the word 'relu' is not known there"),
        ("conv inf", "the word 'inf' is not known there"),
        ("conv 1e99", "`filters` is a whole number from 1 to 10000, not 1e+99"),
        ("conv 1e999", "the word '1e999' is not known there"),
        ("__import__('os').system('touch x')", "the word '__import__"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_understood_is_named_with_what_is_wrong(line, reason):
    with pytest.raises(WordsError) as caught:
        resolve(["conv 4", line, END])
    assert str(caught.value).startswith(f"Layer 2 (`{line}`): ")
    assert reason in str(caught.value)
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "The network has no layers"),
        ([], "The network has no layers"),
        ([" ", ""], "The network has no layers"),
        (5, "a list of lines"),
        (None, "a list of lines"),
        ([5], "a list of lines"),
        ({"conv": 1}, "a list of lines"),
        (["relu"] * 201, "200 layers at most"),
        ("relu;" * 100_000, "200 layers at most"),
        (["conv " + "1" * 300], "200 characters at most"),
        (["conv <3>"], "no < or >"),
    ],
)
def test_what_is_no_network_at_all_is_told_so(words, reason):
    with pytest.raises(WordsError, match=reason):
        split(words)


# ---------------------------------------------------------------- numbers
WORDS = [
    "conv {filters=32} 3x3 relu l2={l2=1e-5}",
    "conv {2*filters} 5x1",
    "leaky_relu=0.2",
    "pool 2",
    "dropout 0.3",
    "dense 100 relu",
    "dropout 0.5",
    END,
]


def test_every_number_that_can_be_searched_has_a_name_and_its_value():
    assert numbers(WORDS) == {
        "filters": 32,
        "l2": 1e-5,
        "conv1.kernel": 3,
        "activation1.slope": 0.2,
        "pool1.size": 2,
        "dropout1.rate": 0.3,
        "dense1.units": 100,
        "dropout2.rate": 0.5,
    }


def test_numbers_are_set_by_name_and_by_address():
    given = {"filters": 8, "conv1.kernel": 5, "dropout2.rate": 0.25, "dense1.units": 7.0, "l2": 0.5}
    assert resolve(WORDS, given) == [
        "conv 8 5x5 relu valid l2=0.5",
        "conv 16 5x1 valid",
        "leaky_relu=0.2",
        "pool 2x2 max valid",
        "dropout 0.3",
        "dense 7 relu",
        "dropout 0.25",
        END,
    ]
    assert resolve(WORDS, numbers(WORDS)) == resolve(WORDS)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"filter": 3}, "no number 'filter'. Did you mean 'filters'?"),
        ({"conv1.kernels": 3}, "Did you mean 'conv1.kernel'?"),
        ({"xyz": 3}, "The network has no number 'xyz'. Known: filters, l2, conv1.kernel"),
        ({"conv1.filters": 3}, "'conv1.filters' has a name in braces in layer 1"),
        ({"conv2.kernel": 3}, "or two sides"),
        ({"filters": 2.5}, "`filters` is a whole number from 1 to 10000, not 2.5"),
        ({"filters": "8"}, "'filters' is a number, not '8'"),
        ({"filters": True}, "'filters' is a number, not True"),
        ({"filters": float("nan")}, "'filters' is a number, not nan"),
        ({"conv1.kernel": 2.5}, "`kernel` is a whole number from 1 to 100, not 2.5"),
        ({"dropout1.rate": 1}, "Layer 5 (`dropout 0.3`): `rate` is a share from 0 to less than 1, not 1"),
        ({"filters": 6000}, "`filters` is a whole number from 1 to 10000, not 12000"),
    ],
)
def test_a_number_that_is_unknown_or_cannot_be_is_told(values, reason):
    with pytest.raises(WordsError) as caught:
        resolve(WORDS, values)
    assert reason in str(caught.value)


def test_a_network_without_numbers_has_none_to_set():
    assert numbers([END]) == {}
    with pytest.raises(WordsError, match="nor any other to set"):
        resolve([END], {"filters": 3})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("conv {f}", "'f' has no value; write {f=32} once"),
        ("conv {f=8} l2={f=9}", "'f' has the value 8 already"),
        ("conv {f=x}", "the usual value of 'f' is a number, not 'x'"),
        ("conv {8", "a brace has no partner"),
        ("conv 8}", "a brace has no partner"),
        ("conv {}", "cannot be calculated"),
        ("conv {8/3}", "`filters` is a whole number from 1 to 10000, not 2.66"),
        ("conv {8-8}", "not 0"),
        ("conv {8/0}", "'8/0' divides by 0"),
    ],
)
def test_braces_that_have_no_value_are_told(line, reason):
    with pytest.raises(WordsError) as caught:
        resolve([line, END])
    assert str(caught.value).startswith(f"Layer 1 (`{line}`)"[:12])
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 / 2 / 2", 2),
        ("10 - 3 - 2", 5),
        ("-3 + 5", 2),
        ("2*-a", -8),
        ("a/8", 0.5),
        ("1e-5*a", 4e-5),
        (".5", 0.5),
    ],
)
def test_sums_are_those_of_school(text, value):
    given = calculate(text, {"a": 4})
    assert given == pytest.approx(value)
    assert isinstance(given, type(value))


@pytest.mark.parametrize(
    "text",
    ["", "1 +", "(1", "1)", "1 2", "a b", "2**3", "1//2", "a.b", "f(1)", "[1]", "1;2", "__import__('os')", "1e", "9" * 12,
     "(" * 150 + "1" + ")" * 150, "-" * 180 + "1", "*".join(["999999999"] * 20), "'a'", "a if a else a", "0x10"],
)  # fmt: skip
def test_nothing_else_is_a_sum(text):
    with pytest.raises(WordsError):
        calculate(text, {"a": 4, "b": 2, "f": 1, "e": 1, "x": 1})


def test_values_are_read_as_people_write_them():
    assert read_values("filters=16, l2 = 1e-5; Dropout1.Rate=.4\n") == {
        "filters": 16,
        "l2": 1e-5,
        "dropout1.rate": 0.4,
    }
    for wrong in ("filters", "filters=", "filters=x", "=3", "a=1,a=2", "1=2", "a=1e", "a=b=3"):
        with pytest.raises(WordsError, match=r"--numbers takes a number for each name"):
            read_values(wrong)


def test_layers_are_named_by_kind_and_counted_from_one():
    layers = parse(["conv 4", "pool 2", "conv 4", "relu", "dense 3", "dense classes"])
    assert [one.name for one in layers] == ["conv1", "pool1", "conv2", "activation1", "dense1", "dense2"]
