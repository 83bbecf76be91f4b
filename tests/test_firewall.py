"""deploy/nftables/credbroker.nft, loaded by the kernel: a cloud, a node of it, and a container on the node."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.house import TREE
from tests.networks import Host

RULES = TREE / "deploy" / "nftables" / "credbroker.nft"
METADATA = ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254")
ELSEWHERE = "198.51.100.7"
ROOT, WORKER, OVERFLOW = 0, 4711, 65534

pytestmark = pytest.mark.root


class Stage(msgspec.Struct, frozen=True):
    """Three hosts, and the uids of the accounts that sysusers.d makes."""

    cloud: Host
    node: Host
    container: Host
    daemon: int
    minter: int


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The rules are loaded as they are shipped, on a node that has the accounts as they are shipped."""
    folder = tmp_path_factory.mktemp("root")
    with Host() as cloud, Host() as node, Host() as container:
        node.cable(cloud, 1)
        node.cable(container, 2)
        node.forward()
        node.default(1, 2)
        cloud.default(1, 1)
        container.default(2, 1)
        cloud.serve(*METADATA, ELSEWHERE)
        passwd = accounts(folder)
        node.run("mount", "--bind", passwd, "/etc/passwd")
        uids = {line.split(":")[0]: int(line.split(":")[2]) for line in passwd.read_text().splitlines()}
        yield Stage(cloud, node, container, uids["credbroker"], uids["credbroker-minter"])


@pytest.fixture(scope="module")
def guarded(stage: Stage) -> Stage:
    """With the rules; before, everybody gets everywhere."""
    callers = (ROOT, WORKER, stage.minter)
    assert {stage.node.call(uid, address) for uid in callers for address in METADATA} == {"open"}
    assert {stage.container.call(WORKER, address) for address in METADATA} == {"open"}
    for _ in range(2):  # loading them again is no error, and doubles nothing
        stage.node.run("nft", "-f", RULES)
    return stage


def accounts(folder: Path) -> Path:
    """The passwd of a system with the accounts of sysusers.d."""
    (folder / "etc").mkdir()
    (folder / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    made = ["systemd-sysusers", f"--root={folder}", str(TREE / "systemd" / "credbroker.sysusers")]
    subprocess.run(made, check=True, capture_output=True)
    return folder / "etc" / "passwd"


class TestRules:
    @pytest.mark.parametrize("address", METADATA)
    def test_the_minters_reach_the_metadata_server(self, guarded: Stage, address: str):
        """It is their identity."""
        assert guarded.node.call(guarded.minter, address) == "open"

    @pytest.mark.parametrize("address", METADATA)
    @pytest.mark.parametrize("who", ["worker", "root", "daemon", "overflow"])
    def test_nobody_else_does(self, guarded: Stage, address: str, who: str):
        """At once: an SDK that looks there waits for nothing. The daemon is one of them."""
        uids = {"worker": WORKER, "root": ROOT, "daemon": guarded.daemon, "overflow": OVERFLOW}

        assert guarded.node.call(uids[who], address) == "ECONNREFUSED"

    @pytest.mark.parametrize("address", METADATA)
    @pytest.mark.parametrize("who", ["root", "minter"])
    def test_no_container_does(self, guarded: Stage, address: str, who: str):
        """Its uids are its own: even the minters' in there is not theirs."""
        uids = {"root": ROOT, "minter": guarded.minter}

        assert guarded.container.call(uids[who], address) == "ECONNREFUSED"

    def test_names_and_time_stay_for_everybody(self, guarded: Stage):
        """On GCE the resolver of the whole node is at this address."""
        assert guarded.node.call(WORKER, METADATA[0], 53) == "open"
        assert guarded.container.call(WORKER, METADATA[0], 53) == "open"

    def test_other_addresses_are_left_alone(self, guarded: Stage):
        """The broker for one."""
        assert guarded.node.call(WORKER, ELSEWHERE) == "open"
        assert guarded.container.call(WORKER, ELSEWHERE) == "open"

    def test_they_are_listed_once(self, guarded: Stage):
        """By name, so that an administrator finds them; with the minters' uid, and counters of what was refused."""
        listed = guarded.node.run("nft", "list", "ruleset")

        assert listed.count("table inet credbroker") == 1
        assert listed.count(f"meta skuid {guarded.minter} accept") == 1
        assert [address for address in METADATA if listed.count(address) != 1] == []
        assert "counter packets 0 bytes 0 reject with tcp reset" not in listed
