"""The model file: tensors and JSON in one safetensors container, no code.

`write_container` and `read_container` are the only way Vistazo keeps tensors (models, checkpoints). A container is
an ordinary safetensors file that other tools open; its metadata has one entry, `vistazo`, a JSON object with the
facts, the format version and the SHA-256 of the whole file (counted with that hash as zeros). So any flipped bit,
cut or swap is found before a single number is used. Nothing is ever unpickled, and a name in the JSON is only ever
looked up in a registry.

`Bundle` is what a model's container says: the task, the registered model and its arguments, and the facts that
make its answers what they were when it was measured.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vistazo import platform
from vistazo.errors import BundleDamaged, BundleTooNew, DiskError, MissingExtra
from vistazo.language import reason_of_system, tr

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["FORMAT", "Bundle", "disk_sentence", "glance", "load", "read_container", "save", "write_container"]

FORMAT = 1
_NO_HASH = "0" * 64
_KEY = "vistazo"
_MOST_HEAD = 100_000_000  # bytes, as safetensors has it


@dataclass(frozen=True)
class Bundle:
    """A trained model with all that its answers depend on.

    task: the task's registered name. model, arguments: the registered network and what it is made with.
    preprocessing: what an input goes through. facts: the task's own (classes, test-time views, thresholds, ...).
    training: settings, frozen choices and versions. metrics: by part. fingerprint: hash of the data.
    tensors: the network's state.
    """

    task: str
    model: str
    arguments: dict[str, Any]
    preprocessing: dict[str, Any]
    facts: dict[str, Any]
    training: dict[str, Any]
    metrics: dict[str, Any]
    fingerprint: str
    tensors: "dict[str, Tensor]"


def save(bundle: Bundle, path: Path) -> None:
    """Write a model file whole or not at all, read it back, and only then let go of the previous one.

    Raises DiskError where the disk is full, read-only or failing; the previous file then still loads.
    """
    facts = {field.name: getattr(bundle, field.name) for field in fields(bundle) if field.name != "tensors"}
    write_container(path, bundle.tensors, {"kind": "model", **facts})


def load(path: Path) -> Bundle:
    """Read a model file.

    Raises BundleDamaged where it was cut or altered or is no model, BundleTooNew where a newer Vistazo wrote it.
    """
    tensors, facts = read_container(path)
    names = {field.name for field in fields(Bundle)} - {"tensors"}
    if (
        facts.pop("kind", None) != "model"
        or set(facts) != names
        or not all(map(_fits, facts, facts.values()))
    ):
        raise BundleDamaged(tr("{path} is not a Vistazo model file.", path=path))
    return Bundle(**facts, tensors=tensors)


def _fits(name: str, value: object) -> bool:
    return isinstance(value, str if name in ("task", "model", "fingerprint") else dict)


def write_container(path: Path, tensors: "Mapping[str, Tensor]", facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON facts atomically; equal contents give equal bytes.

    The new file is read back from its place beside the old one before it replaces it.
    Raises DiskError, with the previous file untouched.
    """
    from safetensors.torch import save as encode

    body = json.dumps(facts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    # The hash stands first, so that the first run of 64 zeros in the file is its place, whatever the facts hold.
    text = f'{{"sha256": "{_NO_HASH}", "format": {FORMAT}, "facts": {body}}}'
    data = encode(
        {name: tensor.detach().contiguous() for name, tensor in sorted(tensors.items())}, {_KEY: text}
    )
    blank = data.index(_NO_HASH.encode())
    digest = hashlib.sha256(data).hexdigest().encode()
    try:
        platform.replace_file(path, (data[:blank], digest, data[blank + len(digest) :]))
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error


def read_container(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """The tensors and facts of a container, after its checksum was proved.

    Raises BundleDamaged or BundleTooNew; nothing of a damaged file is used. MissingExtra where there is no torch, as
    in the folder of an exported service.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load as decode
    except ImportError:
        raise MissingExtra(
            tr(
                "{path} needs torch, which is not installed here. Where it is: vistazo export {path} --out model.onnx",
                path=path,
            )
        ) from None

    damaged = BundleDamaged(
        tr("{path} is damaged or is not a Vistazo file. Use another copy, or train again.", path=path)
    )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleDamaged(
            tr("{path} cannot be read ({reason}).", path=path, reason=reason_of_system(error))
        ) from None
    try:
        size = int.from_bytes(data[:8], "little")
        described = json.loads(data[8 : 8 + size])["__metadata__"][_KEY]
        outer = json.loads(described)
        version, digest, facts = outer["format"], outer["sha256"], outer["facts"]
        if not isinstance(version, int) or not isinstance(digest, str) or not isinstance(facts, dict):
            raise damaged
        place = data.find(digest.encode("ascii"), 8, 8 + size)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged from None
    if len(digest) != 64 or place < 0:
        raise damaged
    counted = hashlib.sha256(data[:place])
    counted.update(_NO_HASH.encode())
    counted.update(memoryview(data)[place + 64 :])
    if counted.hexdigest() != digest:
        raise damaged
    # Asked only after the checksum: a flipped bit in the version must not pass for the future.
    if version > FORMAT:
        raise BundleTooNew(
            tr(
                "{path} was written by a newer Vistazo (format {found}, this one reads up to {known}). "
                "Update with: pip install --upgrade vistazo",
                path=path,
                found=version,
                known=FORMAT,
            )
        )
    try:
        return decode(data), facts
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError):  # as strangers may write it
        raise damaged from None


def glance(path: Path) -> dict[str, Any]:
    """What a container's head says, unproved: for a choice that reading it whole will confirm. {} for what is none.

    Raises OSError.
    """
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        head = file.read(size) if size < _MOST_HEAD else b""
    try:
        facts = json.loads(json.loads(head)["__metadata__"][_KEY])["facts"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def disk_sentence(path: Path, error: OSError) -> str:
    """What a failed write means and how to mend it."""
    kind = platform.disk_failure(error)
    if kind == "full":
        return tr(
            "The disk is full: {path} could not be written. Free some space and repeat; nothing was lost.",
            path=path,
        )
    if kind == "read-only":
        return tr("{path} cannot be written: the folder is read-only. Choose another with --out.", path=path)
    return tr("{path} could not be written ({reason}).", path=path, reason=reason_of_system(error))
