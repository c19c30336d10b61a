"""The frameworks that can be told apart, as data: what is loaded, or set, when one is in use. Nothing is imported.

A module that is there because something imported the package is no evidence of a training with it; each framework
names modules that only a training loads, or an attribute that only a training sets.
"""

from typing import Dict, NamedTuple, Tuple

WRAPPER, BASE = "wrapper", "base"


class Framework(NamedTuple):
    """name, layer: as Lens calls them. root: its package; package: what that is installed as. modules: any of them is
    loaded only when it is in use. attribute: (module, name) that is true only then. variables: set for it, all of one
    group.
    """

    name: str
    layer: str
    root: str
    package: str
    modules: Tuple[str, ...] = ()
    attribute: Tuple[str, str] = ("", "")
    variables: Tuple[Tuple[str, ...], ...] = ()


#: Of each layer the surest first: the first that is in use names the run.
FRAMEWORKS = (
    Framework(
        *("primus", WRAPPER, "primus", "primus"),
        modules=("primus.core.runtime", "primus.pretrain", "primus.trainers"),
        variables=(("PRIMUS_CONFIG",), ("PRIMUS_VERSION",), ("PRIMUS_EXP_NAME", "PRIMUS_TEAM")),
    ),
    Framework("nemo", WRAPPER, "nemo", "nemo_toolkit", ("nemo.collections", "nemo.lens")),
    Framework("openrlhf", WRAPPER, "openrlhf", "openrlhf", ("openrlhf.trainer",)),
    Framework("verl", WRAPPER, "verl", "verl", ("verl.trainer", "verl.utils.tracking")),
    Framework(
        "trl", WRAPPER, "trl", "trl", ("trl.trainer.sft_trainer", "trl.trainer.base_trainer", "trl.trainer.utils")
    ),
    Framework(
        *("lightning", WRAPPER, "lightning", "lightning"),
        modules=("lightning.pytorch.trainer.trainer", "lightning.fabric.fabric", "pytorch_lightning.trainer.trainer"),
        variables=(("LT_CLI_USED",),),
    ),
    Framework("composer", WRAPPER, "composer", "mosaicml", ("composer.trainer.trainer",)),
    Framework("ultralytics", WRAPPER, "ultralytics", "ultralytics", ("ultralytics.engine.trainer",)),
    Framework("transformers_trainer", WRAPPER, "transformers", "transformers", ("transformers.trainer",)),
    Framework("torchtune", WRAPPER, "torchtune", "torchtune", ("torchtune.training.metric_logging",)),
    Framework("torchtitan", WRAPPER, "torchtitan", "torchtitan", ("torchtitan.train", "torchtitan.components.metrics")),
    Framework(
        "stable_baselines3", WRAPPER, "stable_baselines3", "stable_baselines3", ("stable_baselines3.common.base_class",)
    ),
    Framework("fairseq", WRAPPER, "fairseq", "fairseq", ("fairseq.trainer",)),
    Framework("diffsynth", WRAPPER, "diffsynth", "diffsynth", ("diffsynth.diffusion.runner", "diffsynth.trainers")),
    Framework(
        *("ray", WRAPPER, "ray", "ray"),
        modules=("ray.train._internal.session", "ray.train.v2._internal.execution.context"),
    ),
    Framework(
        *("accelerate", WRAPPER, "accelerate", "accelerate"),
        modules=("accelerate.accelerator",),
        variables=(("ACCELERATE_MIXED_PRECISION",), ("ACCELERATE_DYNAMO_BACKEND",)),
    ),
    Framework("keras", WRAPPER, "keras", "keras", ("keras.src.trainers.trainer", "keras.src.callbacks.callback_list")),
    Framework(
        *("megatron", BASE, "megatron", "megatron_core"),
        attribute=("megatron.training.global_vars", "_GLOBAL_ARGS"),
        variables=(("MEGATRON_CONFIG",), ("MEGATRON_LM_PATH",)),
    ),
    Framework(
        *("deepspeed", BASE, "deepspeed", "deepspeed"),
        modules=("deepspeed.runtime.engine",),
        variables=(("DEEPSPEED_CONFIG",), ("DS_CONFIG",), ("DEEPSPEED_VERSION",)),
    ),
    Framework(
        *("jax", BASE, "jax", "jax"),
        attribute=("jax._src.xla_bridge", "_backends"),
        variables=(("JAX_BACKEND",), ("JAX_PLATFORMS",)),
    ),
    Framework("tensorflow", BASE, "tensorflow", "tensorflow", ("tensorflow.python.eager.context",)),
    Framework("transformers", BASE, "transformers", "transformers", ("transformers.modeling_utils",)),
    Framework("pytorch", BASE, "torch", "torch", ("torch.optim.optimizer",)),
)

#: Loaded only to be used by others: where one of these is in use, the right one says nothing.
CARRIED: Dict[str, Tuple[str, ...]] = {
    "accelerate": ("transformers_trainer", "trl"),
    "transformers_trainer": ("trl",),
    "transformers": ("transformers_trainer", "trl", "megatron", "deepspeed"),
    "pytorch": ("megatron", "deepspeed"),
}

#: Packages whose versions a report names, as they are installed; only of those that are loaded.
PACKAGES = (
    *("torch", "tensorflow", "jax", "jaxlib", "transformers", "deepspeed", "accelerate", "pytorch_lightning"),
    *(
        "lightning",
        "torch_rocm",
        "triton",
        "flash_attn",
        "apex",
        "xformers",
        "bitsandbytes",
        "peft",
        "loralib",
        "wandb",
    ),
    *("tensorboard", "mlflow", "numpy", "scipy", "pandas", "datasets", "tokenizers", "safetensors", "einops", "mpi4py"),
    *("horovod", "ray", "trl", "keras", "megatron", "primus", "torchtitan", "torchtune", "composer", "verl"),
)

#: Variables whose values a report repeats: what launchers and frameworks say of the training, none of them a secret.
VARIABLES = (
    *("FRAMEWORK", "TRAINING_FRAMEWORK", "PRIMUS_CONFIG", "PRIMUS_VERSION", "PRIMUS_BACKEND", "PRIMUS_EXP_NAME"),
    *("PRIMUS_TEAM", "DEEPSPEED_CONFIG", "DEEPSPEED_VERSION", "DS_CONFIG", "MEGATRON_CONFIG", "MEGATRON_LM_PATH"),
    *("JAX_BACKEND", "JAX_PLATFORMS", "PL_TRAINER_GPUS", "TRANSFORMERS_CACHE", "WORLD_SIZE", "RANK", "LOCAL_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "WORKLOAD_UID", "POD_UID", "POD_NAME", "POD_NAMESPACE"),
)

#: What a report says of the image and the code it was built from: the first variable that is set.
BUILD: Dict[str, Tuple[str, ...]] = {
    "build_url": ("BUILD_URL", "CI_BUILD_URL", "JENKINS_BUILD_URL", "GITHUB_RUN_URL"),
    "dockerfile_url": ("DOCKERFILE_URL", "DOCKER_FILE_URL"),
    "image_tag": ("IMAGE_TAG", "DOCKER_IMAGE", "CONTAINER_IMAGE", "DOCKER_TAG"),
    "build_date": ("BUILD_DATE", "BUILD_TIMESTAMP", "BUILD_TIME"),
    "git_commit": ("GIT_COMMIT", "GIT_SHA", "CI_COMMIT_SHA", "GITHUB_SHA"),
    "git_branch": ("GIT_BRANCH", "CI_COMMIT_BRANCH", "GITHUB_REF_NAME"),
    "git_repo": ("GIT_REPO", "GIT_REPOSITORY", "GITHUB_REPOSITORY"),
    "ci_pipeline_id": ("CI_PIPELINE_ID", "GITHUB_RUN_ID", "BUILD_NUMBER"),
}

#: How a GPU's name tells its architecture, the longer names first.
ARCHITECTURES = (
    *("mi355x", "mi350x", "mi325x", "mi300x", "mi300a", "mi250x", "mi355", "mi350", "mi325", "mi300", "mi250", "mi210"),
    *("mi100", "mi60", "mi50", "gb200", "b200", "h200", "h100", "h20", "a100", "v100", "l40s", "rtx4090", "rtx3090"),
)
