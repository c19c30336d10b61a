"""The configuration that the chart hands over is one that the collector takes."""

from pathlib import Path

import pytest
from deploy.charts import VARIATIONS, Rendered, environment, render
from deploy.test_pod import WITH_COLLECTOR, size
from wayside_collector.configuration import config
from wayside_collector.sinks.jsonl import JsonlOptions
from wayside_collector.sinks.store import StoreOptions
from wayside_collector.sinks.wandb import WandbOptions

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools


@pytest.fixture(params=WITH_COLLECTOR, ids=lambda name: name.replace(" ", "-"))
def rendered(request: pytest.FixtureRequest, helm: Path) -> Rendered:
    return render(helm, VARIATIONS[request.param])


def build(found: Rendered) -> config.Config:
    """The collector's own reading of the rendered file and environment, with something in the place of secrets."""
    from_secrets = {
        entry["name"]: "{}" for entry in found.collector["env"] if "secretKeyRef" in entry.get("valueFrom", {})
    }
    return config.build(found.config, environment(found.collector) | from_secrets)


def test_the_collector_takes_it(rendered: Rendered) -> None:
    """The rendered file and environment give a configuration without a problem, with the chart's paths in it."""
    found = build(rendered)
    assert found.top.socket == "/run/wayside/wayside.sock"
    assert found.dir == Path("/var/lib/wayside")
    assert found.spool_path == Path("/var/lib/wayside/spool")
    port = rendered.collector["ports"][0]["containerPort"]
    assert found.top.listen_public is not None
    assert found.top.listen_public.rpartition(":")[2] == str(port)
    assert found.address[0] == "127.0.0.1"


def test_the_file_is_read_where_it_is_mounted(rendered: Rendered) -> None:
    """The collector's arguments name the file that the ConfigMap mounts."""
    assert rendered.collector["args"] == ["run", "--config", "/etc/wayside/wayside.yaml"]
    mount = next(mount for mount in rendered.collector["volumeMounts"] if mount["mountPath"] == "/etc/wayside")
    assert mount["readOnly"] is True
    volume = next(volume for volume in rendered.pod["volumes"] if volume["name"] == mount["name"])
    (found,) = rendered.of("ConfigMap")
    assert volume["configMap"]["name"] == found["metadata"]["name"]
    assert list(found["data"]) == ["wayside.yaml"]


def test_the_data_s_limit_is_above_what_may_be_kept(rendered: Rendered) -> None:
    """All that spool and sinks may hold by their options fits into the volume, with a fifth of it to spare."""
    found = build(rendered)
    kept = found.top.spool.max_size + found.top.spool.max_media
    for sink in found.sinks:
        options = sink.options
        if isinstance(options, JsonlOptions):
            kept += options.max_size * options.max_files + options.max_media
        elif isinstance(options, WandbOptions):
            kept += options.max_dir_size
        elif isinstance(options, StoreOptions) and options.url is None:
            kept += options.max_size + options.max_media
    for pod in rendered.pods:
        volume = next(volume for volume in pod["volumes"] if volume["name"] == "wayside-data")
        assert size(volume["emptyDir"]["sizeLimit"]) * 4 // 5 >= kept


def test_sinks_are_those_asked_for(helm: Path) -> None:
    """Options in the collector's words arrive as they were written, and null takes a default sink away."""
    sinks = {sink.name: sink.options for sink in build(render(helm, VARIATIONS["wandb"])).sinks}
    assert list(sinks) == ["wandb"]
    assert isinstance(sinks["wandb"], WandbOptions)
    assert sinks["wandb"].project == "p"
    every = build(render(helm, VARIATIONS["every sink"]))
    assert {sink.name for sink in every.sinks} == {"archive", "jsonl", "lens", "prometheus"}
    assert [sampler.name for sampler in every.samplers] == ["host"]
    assert every.top.spool.max_size == 512 << 20


def test_one_that_is_wrong_is_noticed(helm: Path) -> None:
    """What the schema cannot see renders, being the collector's to judge, and the collector refuses it by its path."""
    found = render(helm, {"collector": {"config": {"sinks": {"lens": {}}}}})
    with pytest.raises(config.ConfigError) as refused:
        build(found)
    assert refused.value.problems == ["sinks.lens.endpoint: is required"]
