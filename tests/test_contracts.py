"""One contract for the whole house: public names, the file map, examples in docstrings."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

import vistazo

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "vistazo"
MODULES = sorted(
    ".".join(("vistazo", *file.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for file in SOURCE.rglob("*.py")
    if file.name != "__main__.py"
)


def parsed(module: str) -> ast.Module:
    path = SOURCE.joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def listed(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        ):
            return ast.literal_eval(node.value)
    return []


def public_definitions(tree: ast.Module) -> set[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


# ---------------------------------------------------------------- public names
@pytest.mark.parametrize("module", MODULES)
def test_all_equals_the_public_names(module):
    """Public functions and classes are listed, and what is listed exists; constants where others use them."""
    tree = parsed(module)
    names = listed(tree)
    assert len(names) == len(set(names))
    assert public_definitions(tree) - set(names) == set(), "list it in __all__, or begin its name with _"
    kept = importlib.import_module(module)
    assert [name for name in names if not hasattr(kept, name)] == []


@pytest.mark.parametrize("module", MODULES)
def test_what_one_module_takes_from_another_is_public_there(module):
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vistazo."):
            names = [one.name for one in node.names]
            if (SOURCE.joinpath(*node.module.split(".")[1:])).is_dir():
                continue  # a module of a package, as in `from vistazo.engine import runs`
            offered = set(listed(parsed(node.module)))
            assert [name for name in names if name not in offered] == [], f"{module} from {node.module}"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_and_every_public_thing_says_what_it_is_for(module):
    tree = parsed(module)
    assert ast.get_docstring(tree), module
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module}.{node.name}"


def test_the_package_offers_the_verbs_of_the_command_line():
    assert set(vistazo.__all__) <= set(dir(vistazo))
    assert {"train", "resume", "load"} <= set(vistazo.__all__)


def test_an_unknown_name_of_the_package_is_an_ordinary_mistake():
    with pytest.raises(AttributeError, match="'trian'"):
        vistazo.trian  # noqa: B018


def test_the_version_is_written_the_same_in_both_places():
    import tomllib

    kept = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert kept["project"]["version"] == vistazo.__version__


# ---------------------------------------------------------------- the locks
@pytest.mark.parametrize("name", ["core.txt", "dev.txt"])
def test_a_lock_pins_everything_with_hashes_and_names_no_address(name):
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    pinned = re.sub(r"^#.*\n", "", text).replace("\\\n", " ").splitlines()
    assert all(re.match(r"[\w.-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line) for line in pinned)
    assert not any(re.match(r"(torch|torchvision|nvidia-|triton)", line) for line in pinned)


def test_the_core_lock_has_every_dependency_but_torch():
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.match(r"[\w-]+", one)[0] for one in wanted} - {"torch"}
    lock = (ROOT / "requirements" / "core.txt").read_text(encoding="utf-8")
    assert [one for one in sorted(names) if not re.search(rf"^{re.escape(one)}==", lock, re.MULTILINE)] == []
    assert "scikit-learn" not in lock


# ---------------------------------------------------------------- examples in docstrings
@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


# ---------------------------------------------------------------- the file map
def file_map() -> dict[str, str]:
    """The map in CONTRIBUTING.md: path → purpose. Indentation is depth; a folder ends in '/'."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n(src/vistazo/.*?)```", text, re.DOTALL)
    assert block, "CONTRIBUTING.md holds the map in a ```text block that begins with src/vistazo/"
    found: dict[str, str] = {}
    folders: list[str] = []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name, _, purpose = line.strip().partition(" ")
        folders[depth:] = [name] if name.endswith("/") else []
        path = "".join(folders[:depth]) + name if not name.endswith("/") else "".join(folders)
        found[path] = purpose.strip()
    return found


def test_the_file_map_is_the_tree():
    """A folder with a purpose and no files below it in the map stands for all it holds."""
    told = file_map()
    files = {path for path in told if not path.endswith("/")}
    wholes = tuple(
        path
        for path in told
        if path.endswith("/") and not any(one != path and one.startswith(path) for one in told)
    )
    real = {
        str(file.relative_to(ROOT).as_posix())
        for file in SOURCE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    real = {path for path in real if not path.startswith(wholes)}
    assert sorted(real - files) == [], "these files are not in the map of CONTRIBUTING.md"
    assert sorted(files - real) == [], "these files are in the map and not in the tree"


def test_every_line_of_the_file_map_says_what_for():
    assert [path for path, purpose in file_map().items() if not purpose and not path.endswith("/")] == []


@pytest.mark.parametrize("file", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda file: file.stem)
def test_tests_mirror_the_package(file):
    house = {"test_contracts.py", "test_layers.py", "test_readme.py"}
    inside = file.relative_to(ROOT / "tests")
    if file.name not in house and len(inside.parts) > 1:
        assert (SOURCE / inside.parent).is_dir(), f"{inside} belongs to no folder of the package"
