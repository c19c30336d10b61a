"""What the stand-in W&B backend keeps of artifacts, and how it answers GraphQL about them. Pure.

As SDK 0.31 was seen to ask: CreateArtifact, CreateArtifactManifest without its bytes, CreateArtifactFiles and the
uploads they name, CreateArtifactManifest with its digest, CommitArtifact.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class StandInArtifact:
    """files: those that were announced; their bytes are among the backend's uploads, as `artifacts/<id>/<name>`."""

    id: str
    name: str
    type: str
    digest: str
    run: str
    aliases: list[str]
    asked: dict[str, Any]
    files: list[str] = field(default_factory=list)
    whole: bool = False


class Artifacts:
    """All of them, by id. commits: ids of the CommitArtifacts, each as often as it came."""

    def __init__(self) -> None:
        self.all: dict[str, StandInArtifact] = {}
        self.commits: list[str] = []
        self.whole: list[StandInArtifact] = []

    def answer(self, operation: str, variables: dict[str, Any], url: str) -> dict[str, Any] | None:
        """The `data` of an answer; None for what is not about artifacts."""
        asked = variables.get("input") or {}
        match operation:
            case "CreateArtifact":
                found = self._made(asked)
                told: dict[str, Any] = {"id": found.id, "state": "COMMITTED" if found.whole else "PENDING"}
                told["artifactSequence"] = {"id": "s", "latestArtifact": None}
                return {"createArtifact": {"artifact": told}}
            case "CreateArtifactManifest":
                file = _file(url, variables["artifactID"], "wandb_manifest.json", {})
                return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}
            case "CreateArtifactFiles":
                edges = [{"node": self._announced(url, one)} for one in asked["artifactFiles"]]
                return {"createArtifactFiles": {"files": {"edges": edges}}}
            case "CommitArtifact":
                return {"commitArtifact": {"artifact": self._commit(variables["artifactID"])}}
        return None

    def _made(self, asked: dict[str, Any]) -> StandInArtifact:
        """One of this name and digest that is whole, else a new one."""
        name = asked["artifactCollectionName"]
        for one in self.whole:
            if (one.name, one.digest) == (name, asked["digest"]) and asked.get("enableDigestDeduplication"):
                return one
        aliases = sorted(one["alias"] for one in asked.get("aliases") or ())
        told = (name, asked["artifactTypeName"], asked["digest"], asked["runName"], aliases, asked)
        made = StandInArtifact(f"A{len(self.all)}", *told)
        self.all[made.id] = made
        return made

    def _announced(self, url: str, one: dict[str, Any]) -> dict[str, Any]:
        self.all[one["artifactID"]].files.append(one["name"])
        return _file(url, one["artifactID"], one["name"], {"artifact": {"id": one["artifactID"]}})

    def _commit(self, id: str) -> dict[str, Any]:
        self.commits.append(id)
        found = self.all[id]
        if not found.whole:
            found.whole = True
            self.whole.append(found)
        return {"id": id, "digest": found.digest}


def _file(url: str, artifact: str, name: str, more: dict[str, Any]) -> dict[str, Any]:
    told = {"id": name, "name": name, "displayName": name, "uploadUrl": f"{url}/uploads/artifacts/{artifact}/{name}"}
    return {**told, "uploadHeaders": [], "storagePath": f"wandb_artifacts/{name}", "uploadMultipartUrls": None, **more}
