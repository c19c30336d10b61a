"""Checkpoints as artifacts: files, folders, references, aliases, saved files, a model, and errors that are caught."""

import os

import wandb

os.makedirs("ckpt/deep")
for name, text in (("ckpt/model.pt", "weights"), ("ckpt/deep/config.json", "{}"), ("train.log", "line")):
    with open(name, "w") as file:
        file.write(text)

run = wandb.init(project="foundry", id="run-with-id", name="n", resume="allow", settings=wandb.Settings(quiet=True))
print(run.id, run.name, run.project, wandb.run is run)
artifact = wandb.Artifact("run-ckpt", type="model", description="the best", metadata={"loss": 0.5, "epoch": 3})
artifact.add_file("ckpt/model.pt")
artifact.add_file("ckpt/model.pt", name="copy/model.pt")
print(artifact.add_dir("ckpt", name="all"))
references = artifact.add_reference("file://" + os.path.abspath("train.log"), checksum=False)
print(artifact.name, artifact.type, artifact.description, artifact.metadata, artifact.size > 0)
print(sorted(artifact.manifest.entries) if hasattr(artifact, "manifest") else sorted(e.path for e in artifact.files()))
print([entry.path for entry in references])
logged = run.log_artifact(artifact, aliases=["latest", "best"])
print(logged is artifact)
folder = wandb.log_artifact("ckpt", name="folder", type="dataset")
print(type(folder).__name__, folder.name.split(":")[0], folder.type)
print(wandb.log_model("ckpt/model.pt", name="the-model"))
saved = wandb.save("ckpt/*.pt", base_path=".")
print([os.path.relpath(path).split("ckpt")[-1] for path in saved])
for wrong in (
    lambda: wandb.Artifact("no spaces", type="model"),
    lambda: wandb.Artifact("a", type="wandb-x"),
    lambda: artifact.add_file("none.pt") if False else wandb.Artifact("b", type="t").add_file("none.pt"),
    lambda: wandb.Artifact("b", type="t").add_dir("none"),
    lambda: run.log_artifact("none.pt", name="b", type="t"),
    lambda: wandb.save("ckpt/*.pt", policy="sometimes"),
):
    try:
        wrong()
    except ValueError as problem:
        print(type(problem).__name__, str(problem).split(":")[0].split(" none.pt")[0][:40])
print(run.finish())
