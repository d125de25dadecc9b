"""Exported models: .onnx files that onnxruntime answers by. Torch-free.

An exported file has one entry of Vistazo's own among its metadata, `vistazo`, a JSON object with the SHA-256 of the
whole file (counted with that hash as zeros), the format version and the facts: what the answers are called, how a
picture or a row becomes an input, what was proven. It is read here without any library, and the hash is proved before
onnxruntime sees a byte. Whoever reads the file elsewhere needs onnxruntime alone.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from vistazo.errors import BundleDamaged, BundleTooNew, MissingExtra
from vistazo.language import reason_of_system, tr

__all__ = ["FORMAT", "KEY", "OnnxFile", "metadata_of", "opened", "require_runtime", "seal", "session_of"]

FORMAT = 1
KEY = "vistazo"
_NO_HASH = "0" * 64
_BEFORE = b'{"sha256": "'
_METADATA_FIELD = 14  # of onnx.ModelProto: repeated StringStringEntryProto {key = 1, value = 2}


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """An exported model that was opened. facts: its metadata. session: onnxruntime's InferenceSession of it."""

    path: Path
    facts: dict[str, Any]
    session: Any

    @property
    def task(self) -> str:
        """The registered name of the task it answers for."""
        return str(self.facts["task"])


def opened(path: Path, *, threads: int | None = None) -> OnnxFile:
    """An exported model, ready to answer. threads: of one answer; onnxruntime's own choice without.

    Raises BundleDamaged where the file was cut or altered or is not of Vistazo's exporting, BundleTooNew, MissingExtra.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BundleDamaged(
            tr("{path} cannot be read ({reason}).", path=path, reason=reason_of_system(error))
        ) from None
    facts = metadata_of(data, path)
    return OnnxFile(path, facts, session_of(data, path, threads=threads))


def session_of(data: bytes, path: Path, *, threads: int | None = None) -> Any:
    """onnxruntime's session of an ONNX model in memory. path: named where it cannot be. Raises BundleDamaged."""
    runtime = require_runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what it finds amiss is told in our own sentence
    # A thread that spins keeps a core from whoever decodes the next picture.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has exceptions of its own for each of its codes
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise BundleDamaged(
            tr("{path} cannot be opened by onnxruntime ({reason}).", path=path, reason=reason)
        ) from None


def require_runtime() -> ModuleType:
    """The package onnxruntime, or MissingExtra with the command that installs it."""
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra(
            tr("Exported models need onnxruntime. Install it with: pip install 'vistazo[export]'")
        ) from None
    module: ModuleType = onnxruntime
    return module


# ---------------------------------------------------------------- metadata
def metadata_of(data: bytes, path: Path) -> dict[str, Any]:
    """The facts of an exported file, after its checksum was proved. path: named in what is raised.

    Raises BundleDamaged or BundleTooNew.
    """
    try:
        text = next((value for key, value in _entries(data) if key == KEY.encode()), None)
    except (ValueError, IndexError):
        text = None
    if text is None:
        raise BundleDamaged(
            tr(
                "{path} is damaged or was not exported by Vistazo. Export it again: vistazo export MODEL --out {path}",
                path=path,
            )
        )
    damaged = BundleDamaged(
        tr("{path} is damaged. Export it again: vistazo export MODEL --out {path}", path=path)
    )
    try:
        told = json.loads(text)
        version, digest, facts = told["format"], told["sha256"], told["facts"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged from None
    if not isinstance(version, int) or not isinstance(digest, str) or not isinstance(facts, dict):
        raise damaged
    place = data.find(_BEFORE + digest.encode("ascii", "replace"))
    if len(digest) != 64 or place < 0:
        raise damaged
    place += len(_BEFORE)
    counted = hashlib.sha256(data[:place])
    counted.update(_NO_HASH.encode())
    counted.update(memoryview(data)[place + 64 :])
    if counted.hexdigest() != digest or not isinstance(facts.get("task"), str):
        raise damaged
    if version > FORMAT:  # asked only after the checksum, as of a .vistazo file
        raise BundleTooNew(
            tr(
                "{path} was written by a newer Vistazo (format {found}, this one reads up to {known}). "
                "Update with: pip install --upgrade vistazo",
                path=path,
                found=version,
                known=FORMAT,
            )
        )
    return facts


def seal(model: bytes, facts: dict[str, Any]) -> bytes:
    """An ONNX model without metadata, with ours appended and its checksum filled in.

    model: a serialised onnx.ModelProto. Equal contents give equal bytes.
    """
    body = json.dumps(facts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    text = f'{{"sha256": "{_NO_HASH}", "format": {FORMAT}, "facts": {body}}}'.encode()
    entry = _field(1, KEY.encode()) + _field(2, text)
    # Fields of a protobuf message may follow in any order, and what is appended is added to it.
    data = model + _field(_METADATA_FIELD, entry)
    blank = data.rindex(_BEFORE + _NO_HASH.encode()) + len(_BEFORE)
    digest = hashlib.sha256(data).hexdigest().encode()
    return data[:blank] + digest + data[blank + 64 :]


# ---------------------------------------------------------------- protobuf
# Source: protobuf.dev/programming-guides/encoding. A field is a number of variable length, field * 8 + kind, and then
# such a number (kind 0), 8 bytes (1), a length and as many bytes (2), or 4 bytes (5).
def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a model's metadata_props. Raises ValueError or IndexError for what is no protobuf message."""
    for number, value in _fields(data):
        if number == _METADATA_FIELD:
            entry = dict(_fields(value))
            yield entry.get(1, b""), entry.get(2, b"")


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a message that have bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a field is cut")
            yield tag >> 3, data[at : at + size] if tag >> 3 != 7 else b""  # 7: the graph, which may be large
            at += size
        else:
            raise ValueError("no protobuf message")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("no number")


def _field(number: int, value: bytes) -> bytes:
    return _number(number << 3 | 2) + _number(len(value)) + value


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
