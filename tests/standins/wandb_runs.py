"""What the stand-in W&B backend keeps of a run, and how it answers GraphQL about it. Pure: dictionaries in, out.

The answers have the fields that SDK 0.31 was seen to need (`wandb_backend.py` says how it was seen).
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from standins.wandb_artifacts import Artifacts

HISTORY, EVENTS, SUMMARY, OUTPUT = "wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json", "output.log"


@dataclass
class StandInRun:
    """One run as the backend has it.

    history, events: the lines, by line number; None where a line number was never written. config: without the
    `value` wrappers and the SDK's own `_wandb`. states: "running" and "finished", in the order they were taken.
    """

    entity: str
    project: str
    id: str
    history: list[str | None] = field(default_factory=list)
    events: list[str | None] = field(default_factory=list)
    summary_line: str = "{}"
    config_json: str = "{}"
    about: dict[str, Any] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None
    states: list[str] = field(default_factory=list)
    posts: int = 0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history, each line decoded, in the order of the lines."""
        return [json.loads(line) for line in self.history if line is not None]

    @property
    def samples(self) -> list[dict[str, Any]]:
        """The system metrics, each line decoded."""
        return [json.loads(line) for line in self.events if line is not None]

    @property
    def summary(self) -> dict[str, Any]:
        return dict(json.loads(self.summary_line))

    @property
    def config(self) -> dict[str, Any]:
        return {k: v["value"] for k, v in json.loads(self.config_json).items() if k != "_wandb"}

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """What `define_metric` made, as the SDK spells it: "1" a name, "2" a glob."""
        return list(json.loads(self.config_json).get("_wandb", {}).get("value", {}).get("m", []))

    def write(self, files: dict[str, dict[str, Any]]) -> None:
        """Take the files of a file_stream request: lines overwrite from their offset on, as the real one does."""
        for name, chunk in files.items():
            content, offset = chunk.get("content", []), chunk.get("offset", 0)
            if name == SUMMARY and content:
                self.summary_line = content[-1]
            elif name in (HISTORY, EVENTS):
                lines = self.history if name == HISTORY else self.events
                lines.extend([None] * (offset + len(content) - len(lines)))
                lines[offset : offset + len(content)] = content

    def resume_status(self) -> dict[str, Any]:
        """The bucket of RunResumeStatus."""
        return {
            "id": self.id,
            "name": self.id,
            "summaryMetrics": self.summary_line,
            "displayName": self.about.get("displayName") or self.id,
            "logLineCount": 0,
            "historyLineCount": len(self.history),
            "eventsLineCount": len(self.events),
            "historyTail": json.dumps(self.history[-1:]),
            "eventsTail": json.dumps(self.events[-1:]),
            "config": self.config_json,
            "tags": self.about.get("tags") or [],
            "notes": self.about.get("notes") or "",
            "wandbConfig": json.dumps({"t": {}}),
        }


class Runs:
    """All runs of the backend, by (entity, project, id)."""

    def __init__(self, default_entity: str) -> None:
        self.default_entity = default_entity
        self.all: dict[tuple[str, str, str], StandInRun] = {}
        self.artifacts = Artifacts()

    def find(self, entity: str | None, project: str | None, id: str) -> StandInRun | None:
        return self.all.get((entity or self.default_entity, project or "uncategorized", id))

    def answer(self, operation: str, variables: dict[str, Any], url: str) -> dict[str, Any]:
        """The `data` of a GraphQL answer."""
        about_artifacts = self.artifacts.answer(operation, variables, url)
        if about_artifacts is not None:
            return about_artifacts
        match operation:
            case "Viewer":
                entity = self.default_entity
                viewer = {"id": "u", "entity": entity, "username": entity, "email": "e", "flags": "{}"}
                return {"viewer": {**viewer, "teams": {"edges": []}}}
            case "UpsertBucket":
                return {"upsertBucket": self._upsert(variables)}
            case "RunResumeStatus":
                run = self.find(variables.get("entity"), variables.get("project"), variables["name"])
                entity = {"id": "e", "name": variables.get("entity") or self.default_entity}
                bucket = run.resume_status() if run is not None else None
                return {"model": {"id": "m", "name": variables.get("project"), "entity": entity, "bucket": bucket}}
            case "ServerFeaturesQuery":
                return {"serverInfo": {"features": []}}
            case "CreateRunFiles":
                files = [{"name": name, "uploadUrl": f"{url}/uploads/{name}"} for name in variables["files"]]
                return {"createRunFiles": {"runID": "x", "uploadHeaders": [], "files": files}}
            case "NotifyScriptableRunAlert":
                run = self.find(variables["entityName"], variables["projectName"], variables["runName"])
                if run is not None:
                    run.alerts.append(variables)
                return {"notifyScriptableRunAlert": {"success": True}}
        return {operation[0].lower() + operation[1:]: {"success": True}}

    def _upsert(self, variables: dict[str, Any]) -> dict[str, Any]:
        key = (variables.get("entity") or self.default_entity, variables.get("project") or "uncategorized")
        run = self.all.get((*key, variables["name"]))
        inserted = run is None
        if run is None:
            run = self.all[(*key, variables["name"])] = StandInRun(*key, variables["name"])
        if variables.get("config"):
            run.config_json = variables["config"]
        run.about.update({name: value for name, value in variables.items() if value is not None and name != "config"})
        project = {"id": "p", "name": run.project, "entity": {"id": "e", "name": run.entity}}
        bucket = {
            "id": run.id,
            "name": run.id,
            "displayName": run.about.get("displayName") or run.id,
            "description": "",
            "config": run.config_json,
            "sweepName": None,
            "historyLineCount": len(run.history),
            "project": project,
        }
        return {"inserted": inserted, "bucket": bucket}


def operation_of(body: dict[str, Any]) -> str:
    """The name of a GraphQL operation."""
    found = re.search(r"(?:query|mutation)\s+(\w+)", body.get("query", ""))
    return body.get("operationName") or (found.group(1) if found else "")
