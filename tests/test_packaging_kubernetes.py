"""What is shipped for Kubernetes fits together, and fits what the broker does."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from broker.config.read import parse
from broker.config.shape import Config, Pods, Snapshot
from broker.minter import review
from broker.server.reviews import NODE_NAME
from tests.house import TREE

yaml: Any = importlib.import_module("yaml")  # it has no type information

FOLDER = TREE / "deploy" / "kubernetes"
PAGE = (TREE / "docs" / "kubernetes.md").read_text()
MINE = 9911  # the uid of the image's account, as deploy/Dockerfile makes it


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def one(name: str, kind: str) -> dict[str, Any]:
    (found,) = (document for document in documents(name) if document["kind"] == kind)
    return dict(found)


def configured(name: str) -> Config:
    text = one(name, "ConfigMap")["data"]["config.toml"]
    return parse(Snapshot((("/etc/credbroker/config.toml", text.encode()),)))


def pods_of(config: Config) -> list[Pods]:
    return [rule.kubernetes for caller in config.callers for rule in caller.rules if rule.kubernetes]


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def projected(spec: dict[str, Any], name: str) -> dict[str, Any]:
    (volume,) = (volume for volume in spec["volumes"] if volume["name"] == name)
    return dict(volume["projected"]["sources"][0]["serviceAccountToken"])


class TestRights:
    def test_it_may_ask_for_what_it_asks_for_and_for_nothing_else(self):
        """Reviews, and the two documents of the keys."""
        (role,) = (found for found in documents("rbac.yaml") if found["kind"] == "ClusterRole")
        reviews, documents_ = role["rules"]

        assert reviews == {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
        assert documents_ == {"nonResourceURLs": [review.DISCOVERY, review.JWKS], "verbs": ["get"]}

    @pytest.mark.parametrize(
        ("binding", "account"), [("rbac.yaml", ("credbroker", "credbroker")), ("sidecar.yaml", ("ml", "trainer"))]
    )
    def test_whoever_runs_it_is_given_them(self, binding: str, account: tuple[str, str]):
        """The DaemonSet's account, or the pod's own."""
        found = one(binding, "ClusterRoleBinding")
        (subject,) = found["subjects"]

        assert found["roleRef"]["name"] == "credbroker"
        assert (subject["namespace"], subject["name"]) == account


class TestDaemonSet:
    SPEC = one("daemonset.yaml", "DaemonSet")["spec"]["template"]["spec"]

    def test_its_configuration_has_no_mistake(self):
        """And listens for pods alone, at the address that the init container adds."""
        config = configured("daemonset.yaml")
        (address,) = config.daemon.listen

        assert address.for_pods
        assert f"ip address add {address.host}/32" in self.SPEC["initContainers"][0]["args"][0]
        assert self.SPEC["hostNetwork"]

    def test_its_probes_ask_where_it_answers(self):
        """On the node's loopback."""
        (container,) = self.SPEC["containers"]
        asked = {
            (probe["httpGet"]["host"], probe["httpGet"]["port"]) for name, probe in container.items() if "Probe" in name
        }

        assert {f"{host}:{port}" for host, port in asked} == {str(configured("daemonset.yaml").daemon.admin)}

    def test_it_knows_its_node(self):
        """By the downward API."""
        (container,) = self.SPEC["containers"]

        assert container["env"] == [{"name": NODE_NAME, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]

    def test_it_is_nobody_special(self):
        """The init container alone may change the network, and ends before the broker starts."""
        (container,) = self.SPEC["containers"]
        context = container["securityContext"]

        assert context["runAsUser"] == MINE
        assert context["readOnlyRootFilesystem"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert f"--uid {MINE} " in (TREE / "deploy" / "Dockerfile").read_text()

    def test_what_it_mounts_is_nobody_elses_to_write(self):
        """Folders of volumes are 0777: the broker refuses a configuration or a socket in one."""
        (container,) = self.SPEC["containers"]
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        config = configured("daemonset.yaml")

        assert mounts["/etc/credbroker/config.toml"]["subPath"] == "config.toml"
        assert mounts[str(Path(config.daemon.socket or "").parent)]["subPath"] == "credbroker"
        assert f"chown {MINE}:{MINE} /run-volume/credbroker" in self.SPEC["initContainers"][0]["args"][0]


class TestPod:
    @pytest.mark.parametrize(("pod", "broker"), [("pod.yaml", "daemonset.yaml"), ("sidecar.yaml", "sidecar.yaml")])
    def test_it_shows_the_token_that_the_broker_expects(self, pod: str, broker: str):
        """Namespace, service account and audience are the caller's; file and URL are where it is."""
        document = one(pod, "Pod")
        spec, config = document["spec"], configured(broker)
        (container,) = spec["containers"]
        token = projected(spec, "credbroker")
        (address,) = config.daemon.listen
        (mount,) = container["volumeMounts"]
        settings = variables(container)

        assert pods_of(config) == [
            Pods(document["metadata"]["namespace"], spec["serviceAccountName"], token["audience"])
        ]
        assert settings["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == f"http://{address}/aws"
        assert settings["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == f"{mount['mountPath']}/{token['path']}"

    def test_the_worker_beside_a_sidecar_has_nothing_of_the_brokers(self):
        """Neither its token for the API server nor what it is at AWS."""
        spec = one("sidecar.yaml", "Pod")["spec"]
        (worker,) = spec["containers"]

        assert [mount["name"] for mount in worker["volumeMounts"]] == ["credbroker"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["initContainers"][0]["restartPolicy"] == "Always"


class TestPage:
    def test_it_says_what_the_files_say(self):
        """A reader copies from either."""
        spec = one("pod.yaml", "Pod")["spec"]
        settings = variables(spec["containers"][0])
        token = projected(spec, "credbroker")

        for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            assert re.search(rf'name: {name}, value: "?{re.escape(settings[name])}"? ', PAGE)
        assert f"audience: {token['audience']}, expirationSeconds: {token['expirationSeconds']}" in PAGE

    def test_its_configurations_have_no_mistake(self):
        """Each TOML block is a part of one."""
        for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL):
            whole = f'{text}[credentials.train]\nsource = "aws-session"\n[credentials.data]\nsource = "gcp-adc"\n'
            found = parse(Snapshot((("/etc/credbroker/config.toml", whole.encode()),)))

            assert pods_of(found) == pods_of(configured("daemonset.yaml"))
