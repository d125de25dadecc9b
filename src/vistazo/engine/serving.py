"""A loaded model answers over the network: what models of every task inherit."""

import importlib
from typing import Any

__all__ = ["Serving"]


class Serving:
    """What a model's class inherits so that it can be served from Python."""

    def serve(self, **settings: Any) -> None:
        """Answer over HTTP until SIGTERM or Ctrl-C. settings: the options of `vistazo serve`, as port=8000.

        Raises VistazoError, as for a busy port or an open address without a token.
        """
        # By name alone: the service stands above the tasks, and knows them.
        importlib.import_module("vistazo.serving.running").serve_here(self, **settings)
