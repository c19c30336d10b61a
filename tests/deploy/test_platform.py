"""Gateway and nodes: what their pods may do, what they are told, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.charts import NAMESPACE, PLATFORM, Rendered, Values, environment, mounts, refusal, render
from deploy.test_pod import containers, size
from wayside_collector.configuration import config

pytestmark = pytest.mark.timeout(600)  # the first test that runs installs the tools

GATEWAYS = [name for name, values in PLATFORM.items() if values.get("gateway", {}).get("enabled", True)]
NODES = [name for name, values in PLATFORM.items() if values.get("node", {}).get("enabled")]


def platform(helm: Path, name: str) -> Rendered:
    return render(helm, PLATFORM[name], base={})


def part(found: Rendered, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod of a part, and the container in it that collects."""
    spec = found.one(kind)["spec"]["template"]["spec"]
    return spec, spec["containers"][0]


def read_config(found: Rendered, kind: str) -> config.Config:
    """The collector's own reading of a part's file and environment, with something in the place of secrets."""
    spec, container = part(found, kind)
    (volume,) = [one for one in spec["volumes"] if one["name"] == "wayside-config"]
    (file,) = found.of("ConfigMap", volume["configMap"]["name"])
    secrets = {
        entry["name"]: "postgresql://db/wayside" if entry["name"].endswith("URL") else "secret"
        for entry in container["env"]
        if "secretKeyRef" in entry.get("valueFrom", {})
    }
    return config.build(yaml.safe_load(file["data"]["wayside.yaml"]), environment(container) | secrets)


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_gateway_takes_its_configuration(helm: Path, name: str) -> None:
    """File and environment of the gateway give a configuration without a problem: it listens on the port that its
    Service leads to, wants tokens, and measures nothing.
    """
    found = platform(helm, name)
    made = read_config(found, "StatefulSet")
    assert made.top.public.token_file == "/etc/wayside-tokens/tokens"
    assert made.samplers == ()
    assert any(sink.name == "store" for sink in made.sinks)
    _, container = part(found, "StatefulSet")
    (port,) = container["ports"]
    assert str(made.top.listen_public).endswith(f":{port['containerPort']}")
    for service in found.of("Service"):
        assert {one["targetPort"] for one in service["spec"]["ports"]} == {port["name"]}


@pytest.mark.parametrize("name", NODES)
def test_the_node_takes_its_configuration(helm: Path, name: str) -> None:
    """It listens where pods look, keeps its files on the node, and adopts what lies beside them to feed the gateway."""
    found = platform(helm, name)
    made = read_config(found, "DaemonSet")
    assert made.top.socket == "/run/wayside/wayside.sock"
    assert made.dir == Path("/var/lib/wayside/node")
    assert (made.top.adopt.below, made.top.adopt.sinks) == (("/var/lib/wayside/pods",), ("gateway",))
    assert {sampler.name for sampler in made.samplers} == {"host", "nvidia", "amd"}


@pytest.mark.parametrize("name", [*dict.fromkeys([*GATEWAYS, *NODES])])
def test_restricted(helm: Path, name: str) -> None:
    """Every container satisfies the pod security standard "restricted", and writes no root; only what makes the node's
    folders is root, with no more rights than that takes, and is gone before anything else begins.
    """
    for pod in platform(helm, name).pods:
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for container in containers(pod):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"]["drop"] == ["ALL"]
            if container["name"] == "folders":
                assert container in pod["initContainers"]
                assert set(context["capabilities"]["add"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"}
            else:
                assert context["runAsNonRoot"] is True
                assert "add" not in context["capabilities"]


@pytest.mark.parametrize("name", [*dict.fromkeys([*GATEWAYS, *NODES])])
def test_every_mount_has_its_volume(helm: Path, name: str) -> None:
    """No container mounts a volume that the pod does not have, and no pod has one that nobody mounts."""
    found = platform(helm, name)
    claims = {
        claim["metadata"]["name"] for one in found.of("StatefulSet") for claim in one["spec"]["volumeClaimTemplates"]
    }
    for pod in found.pods:
        volumes = {volume["name"] for volume in pod.get("volumes", ())} | (
            claims if pod["containers"][0]["name"] == "gateway" else set()
        )
        assert {name for container in containers(pod) for name in mounts(container).values()} == volumes


@pytest.mark.parametrize("name", GATEWAYS)
def test_probes_and_requests(helm: Path, name: str) -> None:
    """The gateway has its three probes, by the scheme it speaks, and asks for CPU and memory."""
    found = platform(helm, name)
    _, container = part(found, "StatefulSet")
    scheme = "HTTPS" if read_config(found, "StatefulSet").top.public.cert_file else "HTTP"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"].get("scheme", "HTTP") == scheme
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_volume_is_above_what_may_be_kept(helm: Path, name: str) -> None:
    """Spool, and a store that is a file, each with its media, fit into the claim with a fifth to spare."""
    found = platform(helm, name)
    made = read_config(found, "StatefulSet")
    (store,) = [sink.options for sink in made.sinks if sink.name == "store"]
    kept = made.top.spool.max_size + made.top.spool.max_media + (0 if store.url else store.max_size + store.max_media)
    (claim,) = found.one("StatefulSet")["spec"]["volumeClaimTemplates"]
    assert size(claim["spec"]["resources"]["requests"]["storage"]) * 4 // 5 >= kept


def test_everybody_feeds_the_gateway(helm: Path) -> None:
    """Trainings and nodes have a sink to the gateway's Service, with the token that the chart made, and no other."""
    found = platform(helm, "nodes that adopt")
    service = found.one("Service")
    endpoint = f"http://{service['metadata']['name']}.{NAMESPACE}.svc:{service['spec']['ports'][0]['port']}"
    made = found.one("Secret")
    for container, file in ((found.collector, "demo-wayside"), (part(found, "DaemonSet")[1], "demo-wayside-node")):
        text = found.one("ConfigMap", file)["data"]["wayside.yaml"]
        sink = yaml.safe_load(text)["sinks"]["gateway"]
        assert sink == {"endpoint": endpoint, "header_env": {"Authorization": "GATEWAY_AUTHORIZATION"}}
        (entry,) = [one for one in container["env"] if one["name"] == "GATEWAY_AUTHORIZATION"]
        reference = entry["valueFrom"]["secretKeyRef"]
        assert reference == {"name": made["metadata"]["name"], "key": "authorization"}
        assert reference["key"] in made["data"]
    assert "GATEWAY_AUTHORIZATION" not in json.dumps(found.trainer)


def test_tls_is_checked_by_its_own_authority(helm: Path) -> None:
    """With a certificate the gateway is fed by https, and checked by the `ca.crt` beside it; its key goes to nobody."""
    found = platform(helm, "gateway with tls")
    sink = found.config["sinks"]["gateway"]
    assert sink["endpoint"].startswith("https://demo-wayside-gateway.")
    assert sink["ca_file"] == "/etc/wayside-ca/ca.crt"
    assert mounts(found.collector)["/etc/wayside-ca"] == "wayside-ca"
    (volume,) = [one for one in found.pod["volumes"] if one["name"] == "wayside-ca"]
    assert volume["secret"] == {"secretName": "gateway-tls", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    assert found.of("Secret") == [], "tokens of one's own are nobody's to make"


def test_a_sink_of_one_s_own_is_left_as_it_is(helm: Path) -> None:
    """Options of a sink `gateway` stay beside what the chart adds, and `false` leaves it out."""

    def sinks(gateway: Any) -> dict[str, Any]:
        values: Values = {"collector": {"config": {"sinks": {"gateway": gateway}}}}
        file = render(helm, values, base={}).one("ConfigMap", "demo-wayside")
        found: dict[str, Any] = yaml.safe_load(file["data"]["wayside.yaml"])["sinks"]
        return found

    assert sinks({"interval": "5s"})["gateway"]["interval"] == "5s"
    assert sinks({"endpoint": "http://mine:1"})["gateway"]["endpoint"] == "http://mine:1"
    assert sinks(False)["gateway"] is False


def test_the_lens_addresses_work(helm: Path) -> None:
    """Services of the names and ports that Primus's guides name lead to the gateway."""
    found = platform(helm, "lens")
    for name in ("primus-lens-telemetry-processor", "lens-api"):
        assert [port["port"] for port in found.one("Service", name)["spec"]["ports"]] == [8080]
    assert read_config(found, "StatefulSet").top.ingest.trusted == ("10.0.0.0/8", "fd00::/8")


def test_a_pod_s_folder_on_the_node_is_its_own(helm: Path) -> None:
    """Training and sidecar mount the folder of their pod's uid, below the one that the node's collector adopts from."""
    found = platform(helm, "nodes that adopt")
    below = read_config(found, "DaemonSet").top.adopt.below
    (volume,) = [one for one in found.pod["volumes"] if one["name"] == "wayside-data"]
    assert (volume["hostPath"]["path"],) == below
    for container in (found.trainer, found.collector):
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "wayside-data"]
        assert mount["subPathExpr"] == "$(POD_UID)"
        assert "POD_UID" in [entry["name"] for entry in container["env"]]


def test_a_training_may_use_the_node_s(helm: Path) -> None:
    """With kind `node` the pod has no collector, and mounts the folder of the node's socket."""
    found = platform(helm, "nodes")
    assert "initContainers" not in found.pod
    assert len(found.pod["containers"]) == 1
    socket = {one["name"]: one["hostPath"]["path"] for one in found.pod["volumes"]}["wayside-socket"]
    (theirs,) = [one for one in part(found, "DaemonSet")[0]["volumes"] if one["name"] == "wayside-socket"]
    assert socket == theirs["hostPath"]["path"]
    assert mounts(found.trainer)["/run/wayside"] == "wayside-socket"
    annotations = found.job["spec"]["template"]["metadata"].get("annotations", {})
    assert "prometheus.io/scrape" not in annotations, "there is nothing to scrape"


REFUSED: dict[str, tuple[Values, str]] = {
    "replicas without a database": ({"gateway": {"replicas": 2}}, "gateway.replicas: more than one need a store"),
    "scaling without a database": (
        {"gateway": {"autoscaling": {"enabled": True}}},
        "name a Secret in gateway.postgresql.existingSecret",
    ),
    "a volume too small": ({"gateway": {"storage": {"size": "10Gi"}}}, "gateway.storage.size: 10Gi is less"),
    "a gateway's password": (
        {"gateway": {"config": {"sinks": {"store": {"url": "postgresql://me:s3cret@db/x"}}}}},
        "gateway.config.sinks.store.url: a ConfigMap is no place for a password; name a Secret in gateway.secrets",
    ),
    "longer than the gateway's pod": (
        {"gateway": {"config": {"grace": "2m"}}},
        "gateway.config.grace: 120 seconds must be less than gateway.terminationGracePeriodSeconds, 60",
    ),
    "the node's own adoption": (
        {"node": {"enabled": True, "config": {"adopt": {"below": ["/x"]}}}},
        "node.config.adopt: the chart sets it",
    ),
    "adoption by nobody": (
        {"node": {"enabled": True}, "feed": {"enabled": False}},
        'node.adopt.sinks: there is no sink "gateway"',
    ),
    "a secret's path": ({"gateway": {"secrets": {"WANDB": {"name": "a", "key": "b"}}}}, "Does not match pattern"),
    "a key in a node's environment": (
        {"node": {"enabled": True, "extraEnv": [{"name": "API_TOKEN", "value": "s3cret"}]}},
        "node.extraEnv: the value of API_TOKEN would stand in the pod",
    ),
    "an endpoint with a password": (
        {"feed": {"endpoint": "http://me:s3cret@gateway"}},
        "feed.endpoint: Does not match",
    ),
}


@pytest.mark.parametrize("name", REFUSED, ids=lambda name: name.replace(" ", "-"))
def test_wrong_values_are_refused(helm: Path, name: str) -> None:
    """Helm refuses the value, names its path, and never repeats what may be a secret."""
    values, sentence = REFUSED[name]
    said = refusal(helm, values, base={})
    assert sentence in said
    if "s3cret" in json.dumps(values) and "Does not match" not in sentence:
        assert "s3cret" not in said


def test_native_sidecars_where_there_are_none(helm: Path) -> None:
    """Asked for below 1.29 they are refused; left to the chart, the classic one is taken."""
    said = refusal(helm, {"collector": {"kind": "native"}}, kubernetes="1.28")
    assert "collector.kind: native sidecars need Kubernetes 1.29" in said
    assert [one["name"] for one in render(helm, {}, kubernetes="1.28").pod["containers"]] == ["wayside", "trainer"]
    assert [one["name"] for one in render(helm, {}, kubernetes="1.29").pod["containers"]] == ["trainer"]


def test_the_classic_sidecar_ends_with_the_training(helm: Path) -> None:
    """It sees the training's processes, is told to stop when they are gone, and has no startup probe to hold them."""
    found = render(helm, {}, kubernetes="1.28")
    assert found.pod["shareProcessNamespace"] is True
    assert found.config["exit_when_alone"] == "10s"
    (collector,) = [one for one in found.pod["containers"] if one["name"] == "wayside"]
    assert "startupProbe" not in collector
    assert "restartPolicy" not in collector
    assert "exit_when_alone" not in render(helm, {}, kubernetes="1.29").config


def test_the_chart_s_own_secret_has_keys_of_its_own(helm: Path) -> None:
    """Keys named for Secrets of one's own change nothing about the one that the chart makes, so an upgrade that names
    them finds what was made before.
    """
    values: Values = {"gateway": {"tokens": {"key": "mine"}}, "feed": {"key": "mine"}, "job": {"enabled": True}}
    found = render(helm, values, base={})
    assert set(found.one("Secret")["data"]) == {"authorization", "tokens"}
    (entry,) = [one for one in found.collector["env"] if one["name"] == "GATEWAY_AUTHORIZATION"]
    assert entry["valueFrom"]["secretKeyRef"]["key"] == "authorization"
    (volume,) = [one for one in part(found, "StatefulSet")[0]["volumes"] if one["name"] == "wayside-tokens"]
    assert volume["secret"]["items"] == [{"key": "tokens", "path": "tokens"}]
