"""Pictures, tables, artifacts and saved files, in the child: what the SDK makes of them, and which files and artifacts
of the run must have reached W&B before it has them. Its quirks with media are met here and nowhere else.

Files of media are put below the run's folder, where the SDK would put them, and published like its own; what stands in
the history refers to them. Neither Pillow nor soundfile is needed: nothing is looked into.
"""

import base64
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import wandb
from wandb.plot.custom_chart import CustomChartSpec
from wandb.sdk.artifacts.artifact_manifest_entry import ArtifactManifestEntry
from wandb.sdk.data_types import utils
from wandb.sdk.data_types.base_types.media import Media
from wandb.sdk.lib.paths import LogicalPath

from .protocol import Made, Put, PutArtifact, PutFiles

_KINDS = {
    "image": ("images", "image-file"),
    "audio": ("audio", "audio-file"),
    "video": ("videos", "video-file"),
    "html": ("html", "html-file"),
    "object3d": ("object3D", "object3D-file"),
    "plot": ("plotly", "plotly-file"),
}
_LISTS = {"image-file": "images/separated", "video-file": "videos", "audio-file": "audio", "html-file": "html"}
_MAX_NAME = 128  # characters of an artifact's name
_MAX_METADATA = 100  # keys of an artifact's metadata


class Bad(ValueError):
    """What W&B has no form for; the text says why."""


def put(run: Any, command: Put, folder: str) -> Made:
    """The value for the history of what was logged under one name. Raises Bad."""
    with _watched(run) as (files, artifacts), tempfile.TemporaryDirectory(dir=folder) as spare:
        values = [_value(run, command, data, place, spare) for place, data in enumerate(command.media)]
        value = values[0] if len(values) == 1 and not _is_listed(command) else _listed(values)
        told = json.loads(json.dumps(value))  # without the SDK's own kinds of text
        return Made(told, files, artifacts, _chart(run, command))


def _chart(run: Any, command: Put) -> str | None:
    """Tell W&B how a table is to be drawn; under which name it then looks for it."""
    plot = command.media[0].get("plot")
    if not isinstance(plot, dict) or not isinstance(plot.get("spec"), str):
        return None
    spec = CustomChartSpec(plot["spec"], dict(plot.get("fields") or {}), dict(plot.get("strings") or {}))
    spec.key = command.name
    run._config_callback(val=spec.config_value, key=spec.config_key)
    return str(spec.table_key)


def put_files(run: Any, command: PutFiles) -> Made:
    """Files of the run itself."""
    with _watched(run) as (files, artifacts):
        for path, source in command.files:
            target = os.path.join(run.dir, _inside(path))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.lexists(target):
                os.unlink(target)
            shutil.copyfile(source, target)
            run._publish_file(os.path.relpath(target, run.dir))
        return Made(None, files, artifacts)


def put_artifact(run: Any, command: PutArtifact) -> Made:
    """An artifact, from files that are there and references to what is not. Raises Bad."""
    told = command.told
    name = re.sub(r"[^-\w.]", "-", str(told.get("name") or "artifact"))[:_MAX_NAME]
    metadata = dict(list((told.get("metadata") or {}).items())[:_MAX_METADATA])
    artifact = wandb.Artifact(
        name, str(told.get("type") or "unknown"), description=told.get("description"), metadata=metadata
    )
    # Offline nobody knows when it is uploaded, and the spool will have let go of it: then the SDK keeps a copy.
    policy: Any = "mutable" if run.offline else "immutable"
    for path, source in command.files:
        artifact.add_file(source, name=_inside(path), skip_cache=True, policy=policy)
    for path, uri, size in command.references:
        # Not through the SDK's handlers: they look at what is referred to, which only the trainer may see.
        entry = ArtifactManifestEntry(path=LogicalPath(_inside(path)), ref=uri, digest=uri, size=size)
        artifact.manifest.add_entry(entry)
    with _watched(run) as (files, artifacts):
        run.log_artifact(artifact, aliases=told.get("aliases") or None)
        return Made(None, files, artifacts)


def _inside(path: str) -> str:
    """A path that stays in its folder."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if not parts:
        raise Bad(f"{path!r:.100} is no path of a file")
    return "/".join(parts)


@contextmanager
def _watched(run: Any) -> Iterator[tuple[list[str], list[str]]]:
    """Names of the files that are published of the run meanwhile, and ids of the artifacts that are logged."""
    files: list[str] = []
    artifacts: list[str] = []
    publish: Callable[[str], Any] = run._publish_file
    log: Callable[..., Any] = run.log_artifact

    def published(name: str) -> Any:
        files.append(str(name))
        return publish(name)

    def logged(artifact: Any, *given: Any, **named: Any) -> Any:
        artifacts.append(artifact._client_id)
        return log(artifact, *given, **named)

    run._publish_file, run.log_artifact = published, logged
    run._assert_can_log_artifact = lambda artifact: None  # asks W&B, and waits; W&B itself says no where it must
    try:
        yield files, artifacts
    finally:
        del run._publish_file, run.log_artifact, run._assert_can_log_artifact


def _is_listed(command: Put) -> bool:
    return any(int(data.get("of") or 1) > 1 for data in command.media)


def _listed(values: list[dict[str, Any]]) -> Any:
    """Several of one name, as the SDK tells a list of pictures."""
    kind = values[0]["_type"]
    if kind not in _LISTS or any(value["_type"] != kind for value in values):
        return values
    captions = [value.get("caption") for value in values]
    told: dict[str, Any] = {"_type": _LISTS[kind], "count": len(values)}
    if kind == "image-file":
        told |= {"width": values[0].get("width", 0), "height": values[0].get("height", 0)}
        told |= {"format": values[0]["format"], "filenames": [value["path"] for value in values]}
    else:
        told[_LISTS[kind]] = values
    return {**told, "captions": captions} if any(captions) else told


def _value(run: Any, command: Put, data: dict[str, Any], place: int, spare: str) -> dict[str, Any]:
    values = data.get("values")
    kind = data.get("type")
    if isinstance(values, dict) and "rows" in values:
        return _table(run, command, values, spare)
    if kind == "histogram" and isinstance(values, dict):
        edges, counts = values.get("edges"), values.get("counts")
        if not isinstance(edges, list) or not isinstance(counts, list) or len(edges) != len(counts) + 1:
            raise Bad("a histogram has one edge more than counts")
        told: Any = (counts, edges)
        return dict(wandb.Histogram(np_histogram=told).to_json())
    if kind == "plot" and not str(data.get("format")).endswith("json"):
        kind = "html" if data.get("format") == "html" else "image"
    if kind not in _KINDS:
        raise Bad(f"W&B has no media of type {kind!r:.40}")
    medium = _File(_path(data, spare, place), *_KINDS[kind], data)
    medium.bind_to_run(run, command.name, command.step)
    return medium.to_json(run)


def _path(data: dict[str, Any], spare: str, place: int) -> str:
    """The file with its bytes."""
    if isinstance(data.get("path"), str):
        return str(data["path"])
    if not isinstance(data.get("base64"), str):
        raise Bad("it has no bytes")
    ending = re.sub(r"[^a-z0-9]", "", str(data.get("format") or "bin").lower()) or "bin"
    path = os.path.join(spare, f"{place}.{ending}")
    with open(path, "wb") as file:
        file.write(base64.b64decode(data["base64"]))
    return path


def _table(run: Any, command: Put, values: dict[str, Any], spare: str) -> dict[str, Any]:
    rows = [[_cell(cell, spare, (r, c)) for c, cell in enumerate(row)] for r, row in enumerate(values["rows"])]
    table = wandb.Table(columns=[str(name) for name in values.get("columns", ())], data=rows, allow_mixed_types=True)
    utils._log_table_artifact(table, command.name, run)
    table.bind_to_run(run, command.name, command.step)  # type: ignore[no-untyped-call]
    return dict(table.to_json(run))


def _cell(cell: Any, spare: str, place: tuple[int, int]) -> Any:
    if not isinstance(cell, dict) or not isinstance(cell.get("media"), dict):
        return cell
    data = cell["media"]
    kind = str(data.get("type"))
    make = {"image": wandb.Image, "audio": wandb.Audio, "video": wandb.Video, "html": wandb.Html}.get(kind)
    if make is None or "lost" in data:
        return f"[{kind}: {data.get('lost') or 'not kept'}]"
    try:
        return make(_path(data, spare, place[0] * 1000 + place[1]))
    except (wandb.Error, OSError, ValueError) as problem:  # Pillow is missing, or its bytes are no picture
        return f"[{kind}: {str(problem)[:100]}]"


class _File(Media):
    """A file as it is, of a kind that W&B shows."""

    def __init__(self, path: str, folder: str, kind: str, data: dict[str, Any]) -> None:
        caption = data.get("caption")
        super().__init__(caption=caption if isinstance(caption, str) else None)
        self._folder, self._kind, self._data = folder, kind, data
        self._set_file(path)

    def get_media_subdir(self) -> str:  # type: ignore[override]
        return f"media/{self._folder}"

    def to_json(self, run: Any) -> dict[str, Any]:
        told = {**super().to_json(run), "_type": self._kind}
        if self._kind == "image-file":
            told["format"] = str(self._data.get("format") or "png")
            told |= {name: self._data[name] for name in ("width", "height") if isinstance(self._data.get(name), int)}
        return told
