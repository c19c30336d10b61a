"""For images in which nothing may be installed: with this folder on PYTHONPATH, Python runs this file when it starts.

First the `sitecustomize` that this one stands before, if there is one; then the hook. Nothing here fails the script.
"""

import importlib.machinery
import importlib.util
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _load(spec: importlib.machinery.ModuleSpec) -> None:
    if spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)


def _hook() -> None:
    if importlib.util.find_spec("wayside") is None:  # not installed here: this very package, and nothing beside it
        package = os.path.dirname(os.path.dirname(_here))
        init = os.path.join(package, "__init__.py")
        spec = importlib.util.spec_from_file_location("wayside", init, submodule_search_locations=[package])
        assert spec is not None
        _load(spec)
    from wayside.hook.activate import activate

    activate()


_others = [path for path in sys.path if os.path.abspath(path or ".") != _here]
_next = importlib.machinery.PathFinder.find_spec("sitecustomize", _others)
if _next is not None:
    _load(_next)
try:
    _hook()
except Exception as problem:  # noqa: BLE001 -- the script starts, whatever there is with the hook
    sys.stderr.write(f"wayside: wandb is not hooked: {problem!r}\n")
