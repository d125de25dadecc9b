"""Checkpoints: the whole state of a run, kept so that a kill at any moment loses seconds and changes nothing.

A checkpoint is a container of tensors and JSON (`vistazo.bundle.write_container`): written whole or not at all,
checksummed. The last two are kept; where the newer one is damaged, the older one is used, and because batches are
drawn by counters, the run ends at the same bits either way.
"""

import contextlib
import re
from pathlib import Path
from typing import Any

from torch import Tensor

from vistazo.bundle import disk_sentence, read_container, write_container
from vistazo.errors import BundleDamaged, DiskError

__all__ = ["flatten", "load_newest", "newest", "save", "unflatten"]

_NAME = re.compile(r"step-(\d{9})\.safetensors")
KEPT = 2


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint and let go of all but the last two. Raises DiskError; the earlier ones stay good.

    Checkpoints of later steps are let go of too: the run went on from an earlier one because they are damaged.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise DiskError(disk_sentence(folder, error)) from error
    tensors: dict[str, Tensor] = {}
    tree = flatten(state, tensors)
    path = folder / f"step-{step:09d}.safetensors"
    write_container(path, tensors, {"kind": "checkpoint", "state": tree})
    found = _newest_first(folder)
    kept = [one for one in found if one.name <= path.name][:KEPT]
    torn = folder.glob(
        ".step-*.part"
    )  # what a kill left of a write; the run's lock says nobody is writing it now
    for old in (*(one for one in found if one not in kept), *torn):
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def load_newest(folder: Path) -> dict[str, Any] | None:
    """The state of the newest checkpoint that is whole; None where there is none.

    Raises BundleTooNew where a newer Vistazo wrote it: its work must not be done again and thrown away.
    """
    for path in _newest_first(folder):
        with contextlib.suppress(BundleDamaged):
            tensors, facts = read_container(path)
            if facts.get("kind") == "checkpoint":
                state = unflatten(facts["state"], tensors)
                assert isinstance(state, dict)
                return state
    return None


def newest(folder: Path) -> str:
    """The name of the newest checkpoint, whole or not; '' where there is none."""
    return next((path.name for path in _newest_first(folder)), "")


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)


def flatten(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """A JSON value that stands for `tree`; its tensors are added to `tensors` under counted names.

    Keeps what JSON would lose: tuples, and keys that are numbers (an optimiser's state has both).
    Raises TypeError for anything but dicts, lists, tuples, tensors, strings, numbers, booleans and None.
    """
    if isinstance(tree, Tensor):
        name = f"t{len(tensors):05d}"
        # A copy on the CPU: two names may share storage, and a container refuses that.
        tensors[name] = tree.detach().cpu().clone()
        return {"$": "tensor", "name": name}
    if isinstance(tree, dict):
        for key in tree:
            if key is not None and not isinstance(key, (str, int, float)):
                raise TypeError(f"a checkpoint cannot hold a key that is a {type(key).__name__}")
        return {"$": "dict", "items": [[key, flatten(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, (list, tuple)):
        return {
            "$": "tuple" if isinstance(tree, tuple) else "list",
            "items": [flatten(value, tensors) for value in tree],
        }
    if tree is None or isinstance(tree, (str, bool, int, float)):
        return tree
    raise TypeError(f"a checkpoint cannot hold a {type(tree).__name__}")


def unflatten(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The tree that `flatten` was given."""
    if not isinstance(value, dict):
        return value
    kind = value["$"]
    if kind == "tensor":
        return tensors[value["name"]]
    if kind == "dict":
        return {key: unflatten(item, tensors) for key, item in value["items"]}
    items = [unflatten(item, tensors) for item in value["items"]]
    return tuple(items) if kind == "tuple" else items
