"""Which framework a training uses, as a report for Lens and for people: `gather`.

The evidence is what is loaded (`sys.modules`), what is set (the environment, the run's config) and what package
metadata says of that. Nothing is ever imported, no GPU is ever touched that the training has not begun to use, and
attributes of modules are read from their dictionaries, so that no lazy one loads anything for being asked.
"""

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from .frameworks import ARCHITECTURES, BASE, BUILD, CARRIED, FRAMEWORKS, PACKAGES, VARIABLES, WRAPPER, Framework
from .importing import importing

MAX_VALUE = 1024  #: characters of a variable's value
MAX_CONFIG = 32 << 10  #: bytes of a config as JSON; of a larger one only short values stay

_TROUBLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, ImportError, ArithmeticError)
_PROJECT = {"primus": WRAPPER, "lightning": WRAPPER, "deepspeed": BASE, "megatron": BASE, "jax": BASE}
_WRAPPERS = ("primus", "lightning", "pytorch_lightning")


class Told(NamedTuple):
    """What the run is called, for the report."""

    id: str
    name: str
    project: str
    tags: Tuple[str, ...]
    config: Mapping[str, Any]


def gather(
    modules: Mapping[str, Any], environ: Mapping[str, str], told: Told, secrets: Iterable[str]
) -> Dict[str, Any]:
    """The `detection` event: framework, base_framework, confidence for people, evidence and hints as Lens has them.

    secrets: what must not be in it, wherever it stands. modules: a copy of `sys.modules`.
    """
    used = [one for one in FRAMEWORKS if _in_use(one, modules)]
    names = {one.name for one in used}
    used = [one for one in used if not names.intersection(CARRIED.get(one.name, ()))]
    hints = _hints(used, modules, environ, told)
    evidence = {
        "wandb": {
            "project": told.project,
            "name": told.name,
            "id": told.id,
            "config": _short(told.config),
            "tags": list(told.tags),
        },
        "environment": {name: environ[name][:MAX_VALUE] for name in VARIABLES if environ.get(name, "").strip()},
        "pytorch": _pytorch(modules),
        "wrapper_frameworks": {one.name: _entry(one, modules, hints) for one in used if one.layer == WRAPPER},
        "base_frameworks": {one.name: _entry(one, modules, hints) for one in used if one.layer == BASE},
        "system": _system(modules),
        "hardware": _hardware(modules, environ),
        "software": _software(modules),
        "build": _build(environ),
    }
    shown: Dict[str, Any] = {
        "framework": (hints["wrapper_frameworks"] or hints["base_frameworks"] or [None])[0],
        "base_framework": (hints["base_frameworks"] or [None])[0],
        "confidence": hints["confidence"],
        "evidence": evidence,
        "hints": hints,
    }
    with importing():
        from .masking import mask_values
    masked: Dict[str, Any] = mask_values(shown, known=tuple(secrets))
    return masked


# --- what is in use --------------------------------------------------------------------------------------------------


def _in_use(framework: Framework, modules: Mapping[str, Any]) -> bool:
    if framework.root not in modules and framework.name != "lightning":
        return False
    module, name = framework.attribute
    return any(one in modules for one in framework.modules) or bool(module and _attribute(modules, module, name))


def _attribute(modules: Mapping[str, Any], module: str, name: str) -> Any:
    """A module's attribute, without asking the module: a lazy one would load it."""
    found = getattr(modules.get(module), "__dict__", None)
    return found.get(name) if isinstance(found, dict) else None


def _entry(framework: Framework, modules: Mapping[str, Any], hints: Mapping[str, Any]) -> Dict[str, Any]:
    found: Dict[str, Any] = {"detected": True, "version": version_of(framework.package, framework.root, modules)}
    if framework.name == "lightning":
        found["module_name"] = "lightning" if "lightning" in modules else "pytorch_lightning"
        found["trainer_available"] = True
    elif framework.name == "transformers_trainer":
        found.update(has_trainer=True, has_training_arguments="transformers.training_args" in modules)
    else:
        found["initialized"] = True
    if framework.name == "primus":
        found["base_framework"] = (hints["base_frameworks"] or [None])[0]
    return found


def version_of(package: str, root: str, modules: Mapping[str, Any]) -> str:
    """As its metadata says, else as the loaded module does."""
    with importing():
        from importlib.metadata import PackageNotFoundError, version
    for name in (package, package.replace("_", "-")):
        try:
            with importing():
                return str(version(name))[:100]
        except (PackageNotFoundError, *_TROUBLE):
            continue
    own = _attribute(modules, root, "__version__")
    return str(own)[:100] if isinstance(own, str) else "unknown"


# --- hints -----------------------------------------------------------------------------------------------------------


def _hints(used: List[Framework], modules: Mapping[str, Any], environ: Mapping[str, str], told: Told) -> Dict[str, Any]:
    layers: Dict[str, List[str]] = {WRAPPER: [], BASE: []}
    indicators: List[str] = []

    def add(layer: str, name: str, why: str) -> None:
        if name not in layers[layer]:
            layers[layer].append(name)
        indicators.append(why)

    for one in used:
        add(one.layer, one.name, f"import.{one.name}")
    for one in FRAMEWORKS:
        if any(all(environ.get(name, "").strip() for name in group) for group in one.variables):
            add(one.layer, one.name, f"{one.name.upper()} env vars")
    _hint_by_name(environ, told, add)
    wrappers, bases = layers[WRAPPER], layers[BASE]
    return {
        "wrapper_frameworks": wrappers,
        "base_frameworks": bases,
        "possible_frameworks": [*wrappers, *bases],
        "confidence": confidence_of(indicators),
        "primary_indicators": indicators,
        "framework_layers": {
            **{name: {"layer": WRAPPER, "base_frameworks": bases} for name in wrappers},
            **{name: {"layer": BASE, "wrapper_frameworks": wrappers} for name in bases},
        },
    }


def _hint_by_name(environ: Mapping[str, str], told: Told, add: Any) -> None:
    """What variables, the config and the project's name say in words."""
    backend = environ.get("PRIMUS_BACKEND", "").strip()[:100]
    if backend:
        add(BASE, backend.lower(), f"PRIMUS_BACKEND={backend}")
    named = (environ.get("FRAMEWORK", "").strip() or environ.get("TRAINING_FRAMEWORK", "").strip())[:100]
    if named:
        add(_layer(named), named.lower(), f"FRAMEWORK={named}")
    for key in ("framework", "base_framework"):
        value = told.config.get(key)
        if isinstance(value, str) and value:
            layer = BASE if key == "base_framework" else _layer(value)
            add(layer, value.lower()[:100], f"wandb_config.{key}")
    trainer = str(told.config.get("trainer", "")).lower()
    for name in ("deepspeed", "megatron"):
        if name in trainer:
            add(BASE, name, "wandb_config.trainer")
    for name, layer in _PROJECT.items():
        if name in told.project.lower():
            add(layer, name, f"project_name={told.project[:100]}")


def _layer(name: str) -> str:
    return WRAPPER if name.lower() in _WRAPPERS else BASE


def confidence_of(indicators: Iterable[str]) -> str:
    """As AMD's exporter words it: sure by what is loaded, less so by what is only said."""
    found = list(indicators)
    strong = sum("env vars" in one or "FRAMEWORK=" in one or "BACKEND=" in one for one in found)
    if any(one.startswith("import.") for one in found) or strong >= 2:
        return "high"
    return "medium" if strong or sum(one.startswith("wandb_config") for one in found) >= 2 else "low"


# --- what it runs on -------------------------------------------------------------------------------------------------


def _pytorch(modules: Mapping[str, Any]) -> Dict[str, Any]:
    if "torch" not in modules:
        return {"available": False}
    found: Dict[str, Any] = {
        "available": True,
        "version": str(_attribute(modules, "torch", "__version__") or "unknown"),
        "cuda_available": _cuda(modules) is not None,
        "detected_modules": {
            **{name: name in modules for name in ("deepspeed", "megatron", "transformers")},
            "lightning": "lightning" in modules or "pytorch_lightning" in modules,
        },
    }
    built = _attribute(modules, "torch.version", "cuda")
    if isinstance(built, str):
        found["cuda_version"] = built
    return found


def _cuda(modules: Mapping[str, Any]) -> Any:
    """torch.cuda where the training has begun to use it; asking any earlier would take memory of the GPU."""
    begun = _attribute(modules, "torch.cuda", "is_initialized")
    try:
        return modules["torch.cuda"] if begun is not None and begun() else None
    except _TROUBLE:
        return None


def _hardware(modules: Mapping[str, Any], environ: Mapping[str, str]) -> Dict[str, Any]:
    """As the training's own torch knows it; the collector adds what its samplers see."""
    found: Dict[str, Any] = {"gpu_arch": None, "gpu_count": 0, "gpu_memory_gb": None, "gpu_name": None}
    cuda = _cuda(modules)
    if cuda is not None:
        try:
            about = cuda.get_device_properties(0)
            found.update(gpu_count=int(cuda.device_count()), gpu_name=str(about.name))
            found["gpu_memory_gb"] = round(int(about.total_memory) / (1 << 30), 1)
        except _TROUBLE:
            found["gpu_count"] = 0
    own = [environ.get(name, "").strip() for name in ("GPU_ARCH", "AMD_GPU_ARCH", "NVIDIA_GPU_ARCH")]
    found["gpu_arch"] = next(filter(None, own), None) or architecture_of(found["gpu_name"])
    hip, built = _attribute(modules, "torch.version", "hip"), _attribute(modules, "torch.version", "cuda")
    rocm = environ.get("ROCM_VERSION", "").strip() or (hip if isinstance(hip, str) else "")
    cuda_version = environ.get("CUDA_VERSION", "").strip() or (built if isinstance(built, str) else "")
    found["rocm_version"] = f"rocm{_two(rocm)}" if rocm else None
    found["cuda_version"] = f"cuda{_two(cuda_version)}" if cuda_version else None
    return found


def architecture_of(name: Optional[str]) -> Optional[str]:
    """Of a GPU, by its name."""
    plain = (name or "").lower().replace(" ", "")
    return next((one for one in ARCHITECTURES if one in plain), None)


def _two(version: str) -> str:
    return ".".join(version[:50].split(".")[:2])


def _software(modules: Mapping[str, Any]) -> Dict[str, Any]:
    packages = {name: version_of(name, name, modules) for name in PACKAGES if name in modules}
    hip = _attribute(modules, "torch.version", "hip")
    return {"packages": packages, **({"rocm_version": _two(hip)} if isinstance(hip, str) else {})}


def _system(modules: Mapping[str, Any]) -> Dict[str, Any]:
    system = modules["sys"]
    return {
        "python_version": str(system.version),
        "python_executable": str(system.executable),
        "platform": str(system.platform),
    }


def _build(environ: Mapping[str, str]) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for key, names in BUILD.items():
        value = next((environ[name].strip() for name in names if environ.get(name, "").strip()), "")
        if value:
            if "://" in value:
                with importing():
                    from .masking import clean_url
                value = clean_url(value)
            found[key] = value[:MAX_VALUE]
    return found


def _short(config: Mapping[str, Any]) -> Dict[str, Any]:
    """The config; of one that is too large what is short in it."""
    with importing():
        import json
    plain = dict(config)
    if len(json.dumps(plain, default=str)) <= MAX_CONFIG:
        return plain
    kept: Dict[str, Any] = {}
    room = MAX_CONFIG
    for key, value in plain.items():
        size = len(json.dumps([key, value], default=str))
        if size <= 200 and size <= room:
            kept[key] = value
            room -= size
    return kept
