"""From a network in torch to an .onnx file: what the export of every task shares.

A task's `exporting` module makes a graph, proves it and writes it; nothing is written before it is proven. What is in a
file is the graph, its weights and our metadata (`engine/onnx_file.py`): no name, path or line of the computer that made
it. Equal models give equal bytes.
"""

import contextlib
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from vistazo import platform
from vistazo.bundle import disk_sentence
from vistazo.engine import onnx_file
from vistazo.errors import ConfigError, DiskError, MissingExtra, UsageError, VistazoError
from vistazo.language import tr

__all__ = [
    "FP16",
    "FP32",
    "INT8",
    "LEAST",
    "LOST",
    "PRECISIONS",
    "Proof",
    "aside",
    "ask_to_verify",
    "cleaned",
    "finish",
    "refuse",
    "require_onnx",
    "require_possible",
    "serialised",
    "traced",
]

PRECISIONS = FP32, FP16, INT8 = ("fp32", "fp16", "int8")
LEAST = 0.999  # share of examples that must be answered alike
LOST = 0.005  # share of examples that int8 may answer wrongly besides


@dataclass(frozen=True)
class Proof:
    """What an exported model was found to answer, beside the model that it came from, on the same examples.

    examples: how many. agreement: share that was answered alike. ties: how many were not, where the model itself held
    both answers for equally probable. largest_difference: of two answers' numbers, such as probabilities. accuracy:
    {"model", "exported"}, or another figure where answers are numbers. more: what else a task found.
    """

    examples: int
    agreement: float
    ties: int
    largest_difference: float
    accuracy: dict[str, Any]
    more: dict[str, Any]

    def told(self) -> dict[str, Any]:
        """As JSON: what stands in the metadata, and what `--json` tells."""
        told = asdict(self)
        return {**told, **told.pop("more")}


def require_onnx() -> ModuleType:
    """The package onnx, with what the exporter and the proof need; or MissingExtra with the command to install them."""
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtra(
            tr("Exporting needs onnx and onnxscript. Install them with: pip install 'vistazo[export]'")
        ) from None
    onnx_file.require_runtime()
    module: ModuleType = onnx
    return module


def require_possible(out: Path, precision: str) -> None:
    """Raise, before anything is computed, where no file could be written there or a package is missing.

    Raises ConfigError, DiskError, UsageError for another precision than PRECISIONS, MissingExtra.
    """
    if precision not in PRECISIONS:
        raise UsageError(
            tr(
                "There is no precision '{given}'. Choose one of: {known}",
                given=precision,
                known=", ".join(PRECISIONS),
            )
        )
    if out.suffix != ".onnx" or _is_folder(out):
        raise ConfigError(tr("--out {path} must be a file that ends in .onnx.", path=out))
    if not _is_folder(out.parent):
        raise ConfigError(tr("There is no folder {path}. Make it, or choose another.", path=out.parent))
    if not os.access(out.parent, os.W_OK):
        raise DiskError(
            tr("{path} cannot be written: the folder is read-only. Choose another with --out.", path=out)
        )
    require_onnx()


def _is_folder(path: Path) -> bool:
    """Whether a folder is there. Raises DiskError where that cannot be asked, as of a name that is too long."""
    try:
        return path.is_dir()
    except OSError as error:
        raise DiskError(disk_sentence(path, error)) from error


@contextlib.contextmanager
def aside(weighs: int = 0) -> Iterator[Path]:
    """A folder for files on the way to an export, which is gone after the block.

    weighs: bytes that programs which do not tell of a full disk may write there; where the block fails and there is no
    room for so many, that was why. Raises DiskError.
    """
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        if error.filename:
            raise DiskError(disk_sentence(Path(error.filename), error)) from error
        raise DiskError(
            tr(
                "No folder for temporary files can be written. Free some space, or name a folder that has room in the "
                "variable TMPDIR."
            )
        ) from error
    with folder as name:
        try:
            yield Path(name)
        except OSError as error:
            ours = error.filename is not None and str(error.filename).startswith(name)
            if platform.disk_failure(error) != "full" and not ours:
                raise  # of what else was read or written meanwhile
            raise DiskError(disk_sentence(Path(error.filename or name), error)) from error
        except VistazoError:
            raise
        except Exception:
            _require_room(Path(name), weighs)
            raise


def _require_room(folder: Path, weighs: int) -> None:
    """Raise DiskError where so many bytes cannot be written into a folder."""
    try:
        with open(folder / "room", "wb") as file:
            for _ in range(0, weighs, 1 << 20):
                file.write(bytes(1 << 20))
    except OSError as error:
        raise DiskError(disk_sentence(folder, error)) from error


def ask_to_verify() -> ConfigError:
    """The error for a model whose own test part is not at hand: no file is written without a proof."""
    return ConfigError(
        tr(
            "The test part of this model's run is not at hand, and nothing is exported without a proof: name labelled "
            "examples that it was not trained on with --verify SOURCE."
        )
    )


# ---------------------------------------------------------------- torch to ONNX
def traced(
    module: nn.Module,
    examples: Sequence[Tensor],
    names: Sequence[str],
    output: str | Sequence[str],
    *,
    listed: bool = False,
) -> Any:
    """An onnx.ModelProto of a module, made by torch's dynamo exporter and cleaned of all that tells where.

    examples: its inputs, batch first, at least two examples each; how many is left open. names: of the inputs. output:
    name of the one output, or names of several. listed: whether the module takes its inputs as one list.
    Raises VistazoError that names an operator which cannot be exported.
    """
    require_onnx()
    count = torch.export.Dim("N", min=1)
    sizes = [{0: count} for _ in examples]
    try:
        with _quietly():
            program = torch.onnx.export(
                module.eval(),
                (list(examples),) if listed else tuple(examples),
                dynamo=True,
                verbose=False,
                input_names=list(names),
                output_names=[output] if isinstance(output, str) else list(output),
                dynamic_shapes=(sizes,) if listed else tuple(sizes),
                optimize=True,
                external_data=False,
            )
    except Exception as error:  # the exporter wraps whatever a network trips over in several of its own
        raise VistazoError(_sentence(error)) from error
    assert program is not None
    return cleaned(program.model_proto)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The exporter warns of packages that nobody asked for, and of its own inside."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _sentence(error: BaseException) -> str:
    """What could not be exported, by the name that ONNX has nothing for."""
    causes: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and not any(at is one for one in causes):
        causes.append(at)
        at = at.__cause__ or at.__context__
    for one in causes:
        text = str(one)
        found = re.search(
            r"No (?:ONNX function|decompositions?)[^\n]*?((?:aten|prims|[a-z]\w*)(?:\.|::)\w+)", text
        )
        found = found or re.search(r"OpOverload\(op='([^']+)'", text)
        if found:
            return tr(
                "This network cannot be exported: ONNX has no operator for {operator}. Train one without it.",
                operator=found[1],
            )
    reason = next((line for line in str(causes[-1]).splitlines() if line.strip()), type(error).__name__)
    return tr("This network cannot be exported ({reason}).", reason=reason.strip()[:200])


def cleaned(model: Any) -> Any:
    """The same without stack traces, comments and names of the exporter."""
    used = {""}
    for graph in _graphs(model.graph):
        used |= {node.domain for node in graph.node}
        graph.doc_string = ""
        del graph.metadata_props[:]
        for one in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
            one.doc_string = ""
            del one.metadata_props[:]
    kept = [one for one in model.opset_import if one.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.graph.name = "model"
    del model.metadata_props[:]
    model.doc_string = model.domain = ""
    model.producer_name, model.producer_version = "vistazo", ""
    return model


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


# ---------------------------------------------------------------- the proof, and the file
def refuse(proof: Proof, precision: str) -> None:
    """Raise VistazoError where an exported model does not answer as it should: no file is written then.

    Alike are 99.9 % of the answers, ties apart; of int8, at most half a point of accuracy is lost.
    """
    if not proof.examples:
        raise ask_to_verify()
    if precision == INT8:
        lost = proof.accuracy["model"] - proof.accuracy["exported"]
        if lost > LOST + 1e-9:  # 90.0 % and 89.5 % are half a point apart
            raise VistazoError(
                tr(
                    "No file was written: in int8 the model loses {lost} points ({exported} against {model} %), and "
                    "half a point is allowed. Export it in fp32 or fp16.",
                    lost=f"{100 * lost:.2f}",
                    exported=f"{100 * proof.accuracy['exported']:.2f}",
                    model=f"{100 * proof.accuracy['model']:.2f}",
                )
            )
    elif proof.agreement + proof.ties / proof.examples < LEAST:
        raise VistazoError(
            tr(
                "No file was written: only {share} % of {n} answers of the exported model are those of the model, and "
                "99.9 % are asked for.",
                share=f"{100 * proof.agreement:.2f}",
                n=proof.examples,
            )
        )


def finish(
    out: Path, model: Any, facts: dict[str, Any], proof: Proof, precision: str, *, hash: str
) -> dict[str, Any]:
    """Write a proven model: beside, flushed, read back, renamed. What `--json` tells of it.

    model: an onnx.ModelProto. facts: the task's metadata, with the version of Vistazo. hash: SHA-256 of the .vistazo
    file it came from.
    Raises what `refuse` does, and DiskError; an earlier file of that name is left as it was then.
    """
    refuse(proof, precision)
    told = {
        **facts,
        "hash": hash,
        "precision": precision,
        "proof": proof.told(),
    }
    data = onnx_file.seal(serialised(model), told)
    onnx_file.session_of(data, out)  # what is written can be opened
    try:
        platform.replace_file(out, [data])
    except OSError as error:
        raise DiskError(disk_sentence(out, error)) from error
    return {"file": str(out), "bytes": len(data), "precision": precision, "hash": hash, **proof.told()}


def serialised(model: Any) -> bytes:
    """The bytes of an onnx.ModelProto, equal for equal models."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data
