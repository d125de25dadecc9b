"""The settings of a classification run: bounds, names in both languages, and paths that stay true elsewhere."""

import subprocess
import sys
import unicodedata

import pytest

from vistazo.classification.config import ClassificationConfig
from vistazo.config import build, options, read_settings
from vistazo.errors import ConfigError, RunError
from vistazo.language import LANGUAGES, speaking, tr

FIELDS = list(ClassificationConfig.model_fields)


def test_the_settings_cost_no_torch():
    code = "import sys, vistazo.classification.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("option", options(ClassificationConfig), ids=FIELDS)
def test_every_setting_has_a_name_and_a_help_in_both_languages(option):
    english, spanish = option.flags
    assert english.startswith("--")
    assert spanish.startswith("--")
    assert spanish.isascii()
    for language in LANGUAGES:
        with speaking(language):
            assert tr(option.help)


def test_no_two_options_share_a_name():
    flags = [
        flag for option in options(ClassificationConfig) for flag in dict.fromkeys(option.flags)
    ]  # seed is `seed` in no second language twice
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize(
    ("spanish", "name"),
    [
        ("--receta", "recipe"),
        ("--epocas", "epochs"),
        ("--semilla", "seed"),
        ("--dispositivo", "device"),
        ("--modelo", "model"),
    ],
)
def test_the_main_settings_have_the_spanish_names_of_the_contract(spanish, name):
    found = {flag: option.name for option in options(ClassificationConfig) for flag in option.flags}
    assert found[spanish] == name


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("epochs", 0, "--epochs must be at least 1, not 0."),
        ("epochs", "many", "--epochs must be a whole number, not 'many'."),
        ("epochs", 1.5, "--epochs must be a whole number, not 1.5."),
        ("seed", -1, "--seed must be at least 0, not -1."),
        ("batch", 1, "--batch must be at least 2, not 1."),
        ("rate", 0, "--rate must be more than 0, not 0."),
        ("rate", "nan", "--rate must be a number, not 'nan'."),
        ("max_broken", 1.5, "--max-broken must be at most 1, not 1.5."),
        ("threads", 5000, "--threads must be at most 1024, not 5000."),
        ("precision", "fp8", "--precision must be one of 'fp32' or 'bf16', not 'fp8'."),
        ("flip", "yes", "--flip must be one of 'auto', 'on' or 'off', not 'yes'."),
        ("size", "32by32", "--size does not understand '32by32'."),
        ("size", "0", "--size does not understand '0'."),
        ("filters", "16,,32", "--filters does not understand '16,,32'."),
        ("stop_at", "accuracy>0.9", "--stop-at does not understand 'accuracy>0.9'."),
        ("augment", "rotate=200", "--augment: rotate must lie between -180 and 180"),
        ("augment", ["flip", "rotate=x"], "--augment does not understand 'rotate=x'"),
        ("epoch", 3, "There is no setting 'epoch'. Did you mean 'epochs'?"),
    ],
)
def test_a_value_out_of_bounds_is_told_in_one_sentence(name, value, says):
    with pytest.raises(ConfigError, match="^.+$") as raised:
        build(ClassificationConfig, {name: value})
    assert str(raised.value).startswith(says)


def test_every_fault_is_told_at_once():
    with pytest.raises(ConfigError) as raised:
        build(ClassificationConfig, {"epochs": 0, "batch": 1})
    assert "--epochs" in str(raised.value)
    assert "--batch" in str(raised.value)


def test_values_may_be_given_as_they_were_typed():
    config = build(ClassificationConfig, {"epochs": "3", "rate": "0.5", "channels": "3"})
    assert (config.epochs, config.rate, config.channels) == (3, 0.5, "3")


def test_what_does_not_change_the_result_is_no_part_of_a_runs_identity():
    one = build(ClassificationConfig, {"checkpoint_seconds": 1, "classes": "a.txt"})
    other = build(ClassificationConfig, {})
    assert one.identity() == other.identity()
    assert one.identity() != build(ClassificationConfig, {"seed": 1}).identity()


def test_paths_mean_the_same_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.vistazo").write_bytes(b"")
    (tmp_path / "names.txt").write_text("a\nb\n")
    config = build(ClassificationConfig, {"classes": "names.txt", "start": "m.vistazo"}).anchored()
    assert config.classes == str(tmp_path / "names.txt")
    assert config.start == str(tmp_path / "m.vistazo")
    assert build(ClassificationConfig, {}).anchored() == build(ClassificationConfig, {})


def test_a_path_with_decomposed_accents_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = tmp_path / unicodedata.normalize("NFD", "niños.txt")
    there.write_text("a\n")
    assert build(ClassificationConfig, {"classes": "niños.txt"}).anchored().classes == str(there)


def test_a_start_that_is_no_model_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=r"There is no model at .*nothing\.vistazo"):
        build(ClassificationConfig, {"start": "nothing.vistazo"}).anchored()
    assert list(tmp_path.iterdir()) == []


def test_a_toml_file_and_the_config_of_a_run_give_settings(tmp_path, trained):
    file = tmp_path / "run.toml"
    file.write_text('epochs = 3\nrecipe = "quick"\nrate = 0.5\n', encoding="utf-8")
    assert build(ClassificationConfig, read_settings(file, ClassificationConfig)).epochs == 3
    file.write_text('augment = ["flip", "rotate=15"]\n', encoding="utf-8")
    assert build(ClassificationConfig, read_settings(file, ClassificationConfig)).augment == "flip,rotate=15"
    again = build(ClassificationConfig, read_settings(trained / "config.json", ClassificationConfig))
    assert (again.epochs, again.filters, again.threads) == (2, "8,16", 1)
