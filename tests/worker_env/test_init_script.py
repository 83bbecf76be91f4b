"""The static script for attested uids says what the table says."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.worker_env import AwsGrant, GoogleGrant, Worker, worker_environment
from broker.worker_env.environment import opened
from tests.house import TREE
from tests.worker_env.workers import ATTESTED

SCRIPT = TREE / "deploy" / "profile.d" / "credbroker.sh"
TABLE = worker_environment(Worker(plane=ATTESTED, aws=AwsGrant(), google=GoogleGrant()), {})
# What cannot be the same for everyone: there is nothing to go back to, and no settings of a profile.
ELSEWHERE = {"CREDBROKER_OUTER"}


class Node:
    """A shell of an ordinary user on a node that has the script."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.files = folder / ".cache" / "credbroker" / "attested"

    def environment(self, before: str = "", **environ: str) -> dict[str, str]:
        """The variables of a shell that has sourced it; every user's shell has its own strictness."""
        whole = {"PATH": os.environ["PATH"], "HOME": str(self.home)} | environ
        if os.geteuid() == 0:
            user = pwd.getpwnam("daemon")
            run = subprocess.run(
                self._argv(before), env=whole, capture_output=True, check=True, text=True, user=user.pw_uid
            )
        else:
            run = subprocess.run(self._argv(before), env=whole, capture_output=True, check=True, text=True)
        assert run.stderr == ""
        return dict(pair.split("=", 1) for pair in run.stdout.split("\0") if "=" in pair)

    def _argv(self, before: str) -> list[str]:
        return ["sh", "-euc", f'{before}\n. "$0"\nenv -0', str(self.home / "credbroker.sh")]


@pytest.fixture
def node() -> Iterator[Node]:
    """A home folder that an ordinary user can reach, with the script in it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "credbroker.sh").write_text(SCRIPT.read_text())
        (Path(folder) / "credbroker.sh").chmod(0o644)
        if os.geteuid() == 0:
            user = pwd.getpwnam("daemon")
            os.chown(folder, user.pw_uid, user.pw_gid)
        yield Node(Path(folder))


class TestScript:
    def test_it_sets_what_the_table_sets(self, node: Node):
        """With the same values, but for where its files are."""
        told = node.environment()
        for name, value in TABLE.set:
            if name in ELSEWHERE or opened(value).startswith(ATTESTED.folder) or name == "AWS_CONFIG_FILE":
                continue
            assert told[name].replace(":911", ":9911") == opened(value), name

    def test_it_sets_nothing_else(self, node: Node):
        """No variable of its own is left behind, and no function."""
        ours = node.environment().keys() - {"PATH", "HOME", "PWD", "SHLVL", "_"}

        assert ours == {name for name, _ in TABLE.set} - ELSEWHERE

    def test_it_unsets_what_the_table_unsets(self, node: Node):
        """Any of them would beat the broker."""
        told = node.environment(**dict.fromkeys(TABLE.unset, "x"))

        assert not set(TABLE.unset) & told.keys()

    def test_its_files_are_private_and_hold_the_public_constant(self, node: Node):
        """Clients that read no variable read the file; gcloud's folder is empty."""
        told = node.environment()

        assert told["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == f"{node.files}/token"
        assert told["CREDBROKER_WORKER_TOKEN_FILE"] == f"{node.files}/token"
        assert told["CLOUDSDK_CONFIG"] == f"{node.files}/gcloud"
        assert (node.files / "token").read_bytes() == b"attested"
        assert node.files.stat().st_mode & 0o777 == 0o700
        assert sorted(path.name for path in node.files.iterdir()) == ["gcloud", "token"]

    def test_a_second_login_leaves_the_files_alone(self, node: Node):
        """A worker may be reading them."""
        node.environment()
        before = (node.files / "token").stat()
        node.environment()

        assert (node.files / "token").stat().st_mtime_ns == before.st_mtime_ns

    def test_the_runtime_folder_comes_first(self, node: Node):
        """It is local and goes at logout; a home folder may be far away."""
        told = node.environment(XDG_RUNTIME_DIR=str(node.home))

        assert told["CLOUDSDK_CONFIG"] == f"{node.home}/credbroker/attested/gcloud"

    def test_a_user_without_any_place_is_served_all_the_same(self, node: Node):
        """No token file is named that is not there."""
        told = node.environment(HOME="/nonexistent")

        assert "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" not in told
        assert told["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == "attested"
        assert told["CLOUDSDK_CONFIG"] == "/nonexistent"

    def test_the_administrator_may_say_where_and_what(self, node: Node):
        """In an earlier file of profile.d."""
        told = node.environment("CREDBROKER_PORT=9911 CREDBROKER_AWS=train CREDBROKER_AWS_CONFIG=/etc/credbroker/aws")

        assert told["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:9911/aws/train"
        assert told["GCE_METADATA_HOST"] == "127.0.0.1:9911"
        assert told["AWS_CONFIG_FILE"] == "/etc/credbroker/aws"

    @pytest.mark.parametrize(("without", "left"), [("aws", "GCE_"), ("gcp", "AWS_"), ("aws,gcp", "NO_PROXY")])
    def test_a_cloud_may_be_left_alone(self, node: Node, without: str, left: str):
        """As with `--without`."""
        told = node.environment(CREDBROKER_WITHOUT=without, AWS_PROFILE="mine", GCS_KEY="mine")

        assert ("AWS_PROFILE" in told) == ("aws" in without)
        assert ("GCS_KEY" in told) == ("gcp" in without)
        assert [name for name in told if name.startswith(left)]

    def test_a_shell_that_is_a_worker_already_is_left_alone(self, node: Node):
        """`exec -- bash -l` keeps what exec has set."""
        told = node.environment(CREDBROKER_WORKER="http://127.0.0.1:4000", AWS_REGION="mine")

        assert told["AWS_REGION"] == "mine"
        assert "AWS_CONFIG_FILE" not in told

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"NO_PROXY": ".corp"}, (".corp,127.0.0.1,localhost", ".corp,127.0.0.1,localhost")),
            ({"NO_PROXY": "a", "no_proxy": "b"}, ("a,127.0.0.1,localhost", "b,127.0.0.1,localhost")),
            ({"no_proxy": "*"}, ("*", "*")),
        ],
    )
    def test_no_proxy_is_extended_in_both_spellings(self, node: Node, before: dict[str, str], after: tuple[str, str]):
        """As the table has it."""
        told = node.environment(**before)

        assert (told["NO_PROXY"], told["no_proxy"]) == after

    @pytest.mark.root
    def test_root_is_left_alone(self):
        """No caller takes uid 0 unless it says so."""
        run = subprocess.run(
            ["sh", "-euc", f". {SCRIPT}; env"], env={"PATH": os.environ["PATH"]}, capture_output=True, check=True
        )

        assert b"AWS_" not in run.stdout
