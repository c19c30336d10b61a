"""Waits for a module to be imported: a finder first in `sys.meta_path`, which lets the others find the module and asks
only to be called when its body has run, which a reload does again. The module's own loader stays, so that its resources
are found as ever.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Then = Callable[[Any], None]


class Finder:
    """Calls `wanted[name]` with the module `name` whenever it has been imported."""

    def __init__(self) -> None:
        self.wanted: dict[str, Then] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any | None:
        then = self.wanted.get(name)
        if then is None:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    _follow(spec.loader, then)
                return spec
        return None


def when_imported(name: str, then: Then) -> None:
    """Call `then` with the module: now if it is there, and each time when it has been imported."""
    module = sys.modules.get(name)
    if module is not None:
        then(module)
    finder = next((finder for finder in sys.meta_path if isinstance(finder, Finder)), None)
    if finder is None:
        finder = Finder()
        sys.meta_path.insert(0, finder)
    finder.wanted.setdefault(name, then)


def _follow(loader: Any, then: Then) -> None:
    """Have `then` called when this loader has run a module's body. One without attributes of its own is left alone."""
    if "exec_module" in getattr(loader, "__dict__", ()):  # asked for twice: `find_spec`, then the import
        return
    run_body = loader.exec_module

    def exec_module(module: Any) -> None:
        del loader.exec_module
        run_body(module)
        then(module)

    try:
        loader.exec_module = exec_module
    except AttributeError:
        return
