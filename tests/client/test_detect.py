"""Which framework a training uses: by what is loaded and set, and never by importing anything."""

import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy
import pytest
from wayside.detect import MAX_CONFIG, Told, architecture_of, confidence_of, gather
from wayside.frameworks import BASE, BUILD, CARRIED, FRAMEWORKS, PACKAGES, VARIABLES, WRAPPER

TOLD = Told("r1", "first", "demo", ("a", "b"), {"lr": 0.1})


class Lazy(types.ModuleType):
    """A module that loads something when it is asked for what it has not."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{self.__name__} was asked for {name}")


def loaded(*names: str, **attributes: dict[str, Any]) -> dict[str, Any]:
    """What `sys.modules` holds: these, the packages above them, and of some (dots as `__`) these attributes."""
    modules: dict[str, Any] = {"sys": sys}
    for name in (*names, *(name.replace("__", ".") for name in attributes)):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            modules.setdefault(".".join(parts[:end]), Lazy(".".join(parts[:end])))
    for name, values in attributes.items():
        vars(modules[name.replace("__", ".")]).update(values)
    return modules


def found(modules: dict[str, Any], environ: dict[str, str] | None = None, told: Told = TOLD) -> dict[str, Any]:
    return gather(modules, environ or {}, told, ())


@pytest.mark.parametrize(
    ("names", "attributes", "framework", "base"),
    [
        ((), {}, None, None),
        (("jax", "transformers", "deepspeed", "megatron.core", "lightning", "torch"), {}, None, None),
        (("torch.optim.optimizer",), {}, "pytorch", "pytorch"),
        (
            ("transformers.trainer", "transformers.modeling_utils", "torch.optim.optimizer"),
            {},
            "transformers_trainer",
            "pytorch",
        ),
        (("transformers.trainer", "accelerate.accelerator"), {}, "transformers_trainer", None),
        (("trl.trainer.sft_trainer", "transformers.trainer", "accelerate.accelerator"), {}, "trl", None),
        (("accelerate.accelerator", "torch.optim.optimizer"), {}, "accelerate", "pytorch"),
        (("pytorch_lightning.trainer.trainer", "torch.optim.optimizer"), {}, "lightning", "pytorch"),
        (("lightning.pytorch.trainer.trainer", "deepspeed.runtime.engine"), {}, "lightning", "deepspeed"),
        (("primus.pretrain",), {"megatron__training__global_vars": {"_GLOBAL_ARGS": object()}}, "primus", "megatron"),
        ((), {"megatron__training__global_vars": {"_GLOBAL_ARGS": None}}, None, None),
        ((), {"jax___src__xla_bridge": {"_backends": {"cpu": 1}}}, "jax", "jax"),
        ((), {"jax___src__xla_bridge": {"_backends": {}}}, None, None),
        (("stable_baselines3.common.base_class", "torch.optim.optimizer"), {}, "stable_baselines3", "pytorch"),
    ],
)
def test_what_is_in_use(
    names: tuple[str, ...], attributes: dict[str, dict[str, Any]], framework: str | None, base: str | None
) -> None:
    """Modules that only a training loads count, what was merely imported does not, and who is carried by another stands
    back; no module is asked for what it does not have.
    """
    told = found(loaded(*names, **attributes))
    assert (told["framework"], told["base_framework"]) == (framework, base)
    assert told["confidence"] == ("high" if framework else "low")
    entries = {**told["evidence"]["wrapper_frameworks"], **told["evidence"]["base_frameworks"]}
    assert all(entry["detected"] is True and isinstance(entry["version"], str) for entry in entries.values())


def test_every_framework_of_the_table_can_be_found() -> None:
    """By each of its modules alone, by its attribute, and by each group of its variables."""
    for one in FRAMEWORKS:
        for module in one.modules:
            assert one.name in found(loaded(module))["hints"]["possible_frameworks"], module
        module, name = one.attribute
        if module:
            with_attribute = loaded(module)
            vars(with_attribute[module])[name] = object()
            assert one.name in found(with_attribute)["hints"]["possible_frameworks"]
        for group in one.variables:
            hints = found(loaded(), dict.fromkeys(group, "x"))["hints"]
            assert one.name in hints[f"{one.layer}_frameworks"]
            assert f"{one.name.upper()} env vars" in hints["primary_indicators"]
            partly = found(loaded(), dict.fromkeys(group[1:], "x"))["hints"]["possible_frameworks"]
            assert one.name not in partly
    names = {one.name for one in FRAMEWORKS}
    assert {*CARRIED, *(name for carriers in CARRIED.values() for name in carriers)} <= names
    assert {one.layer for one in FRAMEWORKS} == {WRAPPER, BASE}


@pytest.mark.parametrize(
    ("environ", "config", "project", "wrappers", "bases", "confidence"),
    [
        ({"PRIMUS_BACKEND": "Megatron"}, {}, "p", [], ["megatron"], "medium"),
        ({"PRIMUS_CONFIG": "c", "PRIMUS_BACKEND": "megatron"}, {}, "p", ["primus"], ["megatron"], "high"),
        ({"FRAMEWORK": "lightning"}, {}, "p", ["lightning"], [], "medium"),
        ({"TRAINING_FRAMEWORK": "jax"}, {}, "p", [], ["jax"], "medium"),
        ({}, {"framework": "primus", "base_framework": "megatron"}, "p", ["primus"], ["megatron"], "medium"),
        ({}, {"trainer": "MyDeepSpeedTrainer"}, "p", [], ["deepspeed"], "low"),
        ({}, {"framework": 3}, "my-megatron-runs", [], ["megatron"], "low"),
    ],
)
def test_what_is_said(
    environ: dict[str, str],
    config: dict[str, Any],
    project: str,
    wrappers: list[str],
    bases: list[str],
    confidence: str,
) -> None:
    """Variables, the config and the project's name hint, as in AMD's exporter, and are no evidence of use."""
    told = found(loaded(), environ, TOLD._replace(config=config, project=project))
    assert told["hints"]["wrapper_frameworks"] == wrappers
    assert told["hints"]["base_frameworks"] == bases
    assert told["confidence"] == confidence
    assert told["evidence"]["wrapper_frameworks"] == told["evidence"]["base_frameworks"] == {}


def test_confidence_is_a_word() -> None:
    """What is loaded is sure; two strong hints are, too; one, or two of the config, are a fair guess."""
    assert confidence_of(["import.jax"]) == "high"
    assert confidence_of(["PRIMUS env vars", "FRAMEWORK=primus"]) == "high"
    assert confidence_of(["JAX env vars"]) == confidence_of(["wandb_config.framework"] * 2) == "medium"
    assert confidence_of(["wandb_config.framework"]) == confidence_of(["project_name=x"]) == confidence_of([]) == "low"


def test_a_gpu_that_is_not_in_use_is_not_touched() -> None:
    """Before the training has begun to use CUDA nothing of torch.cuda is called but the question whether it has."""
    asleep = loaded(
        "torch", torch__cuda={"is_initialized": lambda: False}, torch__version={"cuda": "12.4", "hip": None}
    )
    told = found(asleep)["evidence"]
    assert (told["hardware"]["gpu_count"], told["hardware"]["cuda_version"]) == (0, "cuda12.4")
    assert told["pytorch"]["cuda_available"] is False
    about = types.SimpleNamespace(name="AMD Instinct MI300X", total_memory=192 << 30)
    awake = {"is_initialized": lambda: True, "device_count": lambda: 8, "get_device_properties": lambda index: about}
    told = found(loaded("torch", torch__cuda=awake, torch__version={"hip": "6.2.41133-dd"}))["evidence"]
    assert told["hardware"] == {
        "gpu_arch": "mi300x",
        "gpu_count": 8,
        "gpu_memory_gb": 192.0,
        "gpu_name": "AMD Instinct MI300X",
        "rocm_version": "rocm6.2",
        "cuda_version": None,
    }
    assert told["software"]["rocm_version"] == "6.2"
    broken = {"is_initialized": lambda: True, "get_device_properties": lambda index: 1 / 0}
    assert found(loaded("torch", torch__cuda=broken))["evidence"]["hardware"]["gpu_count"] == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *[("AMD Instinct MI300X", "mi300x"), ("AMD Instinct MI250X", "mi250x"), ("NVIDIA H100 80GB HBM3", "h100")],
        *[("NVIDIA GeForce RTX 4090", "rtx4090"), ("Tesla V100-SXM2", "v100"), ("Banana Pi", None), (None, None)],
    ],
)
def test_architectures(name: str | None, code: str | None) -> None:
    """The longest name that fits: an MI300X is no MI300."""
    assert architecture_of(name) == code


def test_what_is_recorded_of_the_environment() -> None:
    """Variables of the list alone; of the build the first that is set; addresses without a password."""
    environ = {"RANK": "3", "HOME": "/root", "GITHUB_SHA": "abc", "CI_COMMIT_SHA": "def", "POD_NAME": " "}
    environ.update(BUILD_URL="https://me:hunter2@ci/1?x=y", MASTER_ADDR="h" * 5000, AWS_SECRET_ACCESS_KEY="s" * 20)
    told = gather(loaded(), environ, TOLD, ["s" * 20])
    assert set(told["evidence"]["environment"]) == {"RANK", "MASTER_ADDR"}
    assert len(told["evidence"]["environment"]["MASTER_ADDR"]) == 1024
    assert told["evidence"]["build"] == {"git_commit": "def", "build_url": "https://ci/1"}
    assert "hunter2" not in json.dumps(told)
    assert not set(VARIABLES) & {name for names in BUILD.values() for name in names}


def test_secrets_of_a_config_are_masked_and_a_huge_one_is_cut() -> None:
    """By name, by form, and wherever a known one stands; what is short of a large config stays."""
    config = {
        "api_key": "abc",
        "note": "token is hunter2hunter2",
        "hub": "hf_" + "a1B2" * 8,
        "big": "x" * 50_000,
        "lr": 0.1,
    }
    told = gather(loaded(), {}, TOLD._replace(config=config), ["hunter2hunter2"])
    text = json.dumps(told)
    assert "hunter2" not in text
    assert "a1B2a1B2" not in text
    kept = told["evidence"]["wandb"]["config"]
    assert kept["lr"] == 0.1
    assert kept["api_key"] == "***"
    assert len(text) < 2 * MAX_CONFIG


def test_versions_are_those_of_loaded_packages() -> None:
    """As package metadata says, else as the module itself; nothing of what is installed and not loaded."""
    told = found(loaded("numpy", "deepspeed", deepspeed={"__version__": "9.9"}, apex={"__version__": 3}))
    packages = told["evidence"]["software"]["packages"]
    assert packages["numpy"] == numpy.__version__
    assert packages["deepspeed"] == "9.9"
    assert packages["apex"] == "unknown"
    assert "wandb" not in packages
    assert set(packages) <= set(PACKAGES)


PLANTED = ("jax", "transformers", "deepspeed", "megatron", "lightning", "pytorch_lightning", "primus", "torch", "trl")
SCRIPT = """
import json, sys
from wayside.detect import Told, gather
before = set(sys.modules)
told = gather(dict(sys.modules), {"PRIMUS_CONFIG": "x", "FRAMEWORK": "jax"}, Told("r", "r", "megatron", (), {}), ())
imported = {name.split(".")[0] for name in set(sys.modules) - before}
print(json.dumps([told["evidence"]["wrapper_frameworks"], sorted(imported)]))
"""


def test_nothing_is_imported_for_the_asking(tmp_path: Path) -> None:
    """Packages that leave a mark when they are imported, all within reach: none has left one."""
    for name in PLANTED:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(tmp_path / 'touched')!r}, 'a').write({name!r})\n")
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert not (tmp_path / "touched").exists()
    wrappers, imported = json.loads(done.stdout)
    assert wrappers == {}
    assert not set(imported) & set(PLANTED)
