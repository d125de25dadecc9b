"""Both languages have every message, and the language in force is the user's own."""

import ast
import errno
import gettext
import os
import re
import string
import threading
from pathlib import Path

import pytest

import vistazo
from vistazo import language, platform
from vistazo.language import LANGUAGES, current, mark, set_language, speaking, tr

SOURCE = Path(vistazo.__file__).parent
ASKED = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


# ---------------------------------------------------------------- every message, in both languages
def _text(node: ast.expr) -> str | None:
    """The literal text of an argument; None where it is computed."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _messages() -> dict[str, str]:
    """Every literal message in the package → the file and line of its first use."""
    found: dict[str, str] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("tr", "mark")
            ):
                text = _text(node.args[0]) if node.args else None
                if text:
                    found.setdefault(text, f"{file.relative_to(SOURCE)}:{node.lineno}")
    return found


def _catalogue(code: str) -> dict[str, str]:
    with (SOURCE / "locale" / code / "LC_MESSAGES" / "vistazo.mo").open("rb") as file:
        kept = gettext.GNUTranslations(file)
    return {key: value for key, value in kept._catalog.items() if isinstance(key, str) and key}


def _fields(text: str) -> set[str]:
    return {name.split(".")[0] for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.fixture(scope="module")
def messages() -> dict[str, str]:
    return _messages()


@pytest.fixture(scope="module")
def spanish() -> dict[str, str]:
    return _catalogue("es")


def test_the_package_has_messages(messages):
    assert len(messages) > 50


def test_spanish_has_every_message(messages, spanish):
    missing = [f"{place}: {text}" for text, place in messages.items() if not spanish.get(text)]
    assert not missing, "run `make messages` and translate:\n" + "\n".join(missing)


def test_spanish_has_no_message_that_nobody_says(messages, spanish):
    assert sorted(set(spanish) - set(messages)) == []


def test_a_translation_fills_in_the_same_values(messages, spanish):
    different = [text for text in messages if text in spanish and _fields(text) != _fields(spanish[text])]
    assert different == []


def test_the_compiled_catalogue_is_that_of_the_source(spanish):
    """`make messages` was run after the last change of vistazo.po."""
    pofile = pytest.importorskip("babel.messages.pofile")
    with (SOURCE / "locale" / "es" / "LC_MESSAGES" / "vistazo.po").open("rb") as file:
        written = pofile.read_po(file)
    ours = [
        one for one in written if one.id and isinstance(one.id, str)
    ]  # click's plurals are no sentences of ours
    assert spanish == {one.id: one.string for one in ours if one.string and not one.fuzzy}


def test_commands_and_options_inside_a_message_are_not_translated_away(messages, spanish):
    """A sentence that says what to type says something that works."""
    for text in messages:
        for command in re.findall(r"pip install [\w\[\]{}=.-]+|--upgrade", text):
            assert command in spanish.get(text, command), text


def test_no_message_is_built_before_it_is_looked_up():
    """`tr(f"...")` would look up a text that stands in no catalogue."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("tr", "mark")
            ):
                assert not isinstance(node.args[0], ast.JoinedStr | ast.BinOp), f"{file.name}:{node.lineno}"


# ---------------------------------------------------------------- the language in force
def test_a_message_without_a_translation_is_said_in_english():
    with speaking("es"):
        assert tr("zxcvb {n}", n=3) == "zxcvb 3"


def test_spanish_is_spoken_where_it_is_asked_for(spanish):
    with speaking("es"):
        assert tr("model") == spanish["model"] == "modelo"
    with speaking("en"):
        assert tr("model") == "model"


def test_a_value_never_acts_as_a_template():
    assert tr("{name} is here", name="{name}{0}{secret}") == "{name}{0}{secret} is here"


def test_the_empty_message_is_empty():
    """gettext answers '' with the catalogue's own header."""
    with speaking("es"):
        assert tr("") == ""


def test_mark_changes_nothing():
    assert mark("model") == "model"


def test_the_language_before_returns_after_a_with_block():
    with speaking("es"):
        with pytest.raises(KeyError), speaking("en"):
            raise KeyError
        assert current() == "es"


def test_two_threads_speak_two_languages_at_once():
    heard = {}
    together = threading.Barrier(2)

    def speak(code: str) -> None:
        with speaking(code):
            together.wait(10)
            heard[code] = tr("model")

    threads = [threading.Thread(target=speak, args=(code,)) for code in LANGUAGES]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert heard == {"en": "model", "es": "modelo"}


def test_a_language_that_is_not_spoken_is_refused():
    with pytest.raises(ValueError, match="'fr'"), speaking("fr"):
        pass
    with pytest.raises(ValueError, match="'fr'"):
        set_language("fr")


# ---------------------------------------------------------------- the system's language
@pytest.fixture
def silent_environment(monkeypatch):
    for name in ASKED:
        monkeypatch.delenv(name, raising=False)
    language._system.cache_clear()
    yield monkeypatch
    language._system.cache_clear()


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        pytest.param({}, "en", id="nothing said"),
        pytest.param({"LANG": "es_MX.UTF-8"}, "es", id="Mexican Spanish"),
        pytest.param({"LANG": "C"}, "en", id="the C locale"),
        pytest.param({"LANG": "C.UTF-8"}, "en", id="the C locale in UTF-8"),
        pytest.param({"LC_ALL": "POSIX"}, "en", id="POSIX"),
        pytest.param({"LANG": "es_ES", "LC_ALL": "en_GB.UTF-8"}, "en", id="LC_ALL before LANG"),
        pytest.param({"LC_ALL": "C", "LANG": "es_ES"}, "en", id="the C locale before LANG"),
        pytest.param({"LC_ALL": "en_US", "LANGUAGE": "es:en"}, "es", id="LANGUAGE before all"),
        pytest.param({"LANG": "", "LC_MESSAGES": "es_AR"}, "es", id="an empty variable says nothing"),
        pytest.param({"LANG": "es"}, "es", id="the code alone"),
        pytest.param({"LANG": "es@euro"}, "es", id="a modifier without a country"),
        pytest.param({"LANG": "ES-es"}, "es", id="written the other way"),
    ],
)
def test_the_environment_names_the_language(silent_environment, environment, code):
    for name, value in environment.items():
        silent_environment.setenv(name, value)
    assert platform.system_language() == code


class FakeKernel:
    def __init__(self, number):
        self.kernel32 = self
        self.number = number

    def GetUserDefaultUILanguage(self):
        return self.number


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(0x0C0A, "es", id="Spanish, Spain"),
        pytest.param(0x080A, "es", id="Spanish, Mexico"),
        pytest.param(0x0409, "en", id="English, United States"),
        pytest.param(0x0407, "de", id="German"),
        pytest.param(0xFFFF, "en", id="a number nobody knows"),
    ],
)
def test_windows_is_asked_for_the_language_of_its_menus(silent_environment, number, code):
    silent_environment.setattr(platform.sys, "platform", "win32")
    silent_environment.setattr(platform.ctypes, "windll", FakeKernel(number), raising=False)
    assert platform.system_language() == code


def test_a_windows_that_does_not_answer_speaks_english(silent_environment):
    silent_environment.setattr(platform.sys, "platform", "win32")
    silent_environment.delattr(platform.ctypes, "windll", raising=False)
    assert platform.system_language() == "en"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param("es_ES", "es", id="Spanish, Spain"),
        pytest.param("es-419", "es", id="Spanish, Latin America"),
        pytest.param("en_GB@calendar=gregorian", "en", id="with a calendar"),
        pytest.param("", "en", id="no answer"),
    ],
)
@pytest.mark.skipif(platform.sys.platform == "win32", reason="plays macOS with a shell script")
def test_macos_is_asked_for_the_language_of_its_menus(silent_environment, tmp_path, answer, code):
    defaults = tmp_path / "defaults"
    defaults.write_text(f"#!/bin/sh\necho '{answer}'\n")
    defaults.chmod(0o755)
    silent_environment.setattr(platform.sys, "platform", "darwin")
    silent_environment.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert platform.system_language() == code


def test_a_macos_without_that_program_speaks_english(silent_environment, tmp_path):
    silent_environment.setattr(platform.sys, "platform", "darwin")
    silent_environment.setenv("PATH", str(tmp_path))
    assert platform.system_language() == "en"


def test_a_language_without_a_catalogue_is_answered_in_english(silent_environment):
    silent_environment.setenv("LANG", "de_DE.UTF-8")
    set_language(None)
    assert current() == "en"


def test_the_system_decides_where_nobody_chose(silent_environment):
    silent_environment.setenv("LANG", "es_CL.UTF-8")
    set_language(None)
    assert current() == "es"


# ---------------------------------------------------------------- what the system complains of
@pytest.mark.parametrize("number", sorted(language._REASONS), ids=lambda number: errno.errorcode[number])
def test_the_systems_reason_is_told_in_the_language_in_force(number):
    error = OSError(number, os.strerror(number), "place")
    english = language.reason_of_system(error)
    assert english == os.strerror(number)
    with speaking("es"):
        assert language.reason_of_system(error) not in (english, "")


def test_a_reason_that_is_not_known_is_told_as_it_comes():
    with speaking("es"):
        assert language.reason_of_system(OSError(errno.ELOOP, "round and round")) == "round and round"
        assert language.reason_of_system(OSError(errno.EIO, "read back otherwise")) == "read back otherwise"
        assert language.reason_of_system(ValueError("no text")) == "no text"


def test_a_file_that_is_not_there_is_told_in_spanish(verb):
    said = verb("entrenar", "x", "--tarea", "tabular", "--configuracion", "nada.toml", "--idioma", "es")
    assert "no existe el archivo o la carpeta" in said.err
    assert "Errno" not in said.err
