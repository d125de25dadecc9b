"""What models of every task inherit: they answer over the network, and become .onnx files."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

__all__ = ["Exporting", "Serving"]


class Serving:
    """What a model's class inherits so that it can be served from Python."""

    def serve(self, **settings: Any) -> None:
        """Answer over HTTP until SIGTERM or Ctrl-C. settings: the options of `vistazo serve`, as port=8000.

        Raises VistazoError, as for a busy port or an open address without a token.
        """
        # By name alone: the service stands above the tasks, and knows them.
        importlib.import_module("vistazo.serving.running").serve_here(self, **settings)


class Exporting:
    """What the class of a trained model inherits so that it can be exported. task: its package's name too."""

    task: ClassVar[str]

    def export(
        self,
        out: str | Path,
        *,
        verify: Any = None,
        precision: str = "fp32",
        say: Callable[[str], None] = lambda sentence: None,
    ) -> dict[str, Any]:
        """The model as an .onnx file, with the proof that it answers alike; see the task's `exporting.export`."""
        exporting = importlib.import_module(f"vistazo.{self.task}.exporting")
        told: dict[str, Any] = exporting.export(self, Path(out), verify=verify, precision=precision, say=say)
        return told
