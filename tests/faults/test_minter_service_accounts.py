"""Fault 49 with two accounts, as the units have them: the daemon's cannot read the identity, the minters' can.

The interpreter and the packages may lie where only root comes, so they are mounted beside the test for its processes.
"""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker import vetting
from broker.config.shape import Config, Snapshot
from broker.minter.client import Launch
from tests.clients.stage import free_address
from tests.fakes.sts import FakeSts
from tests.house import TREE
from tests.minter.services import Activated, short_folder, waited

pytestmark = pytest.mark.root

DAEMON, MINTER, WORKER = 47110, 47111, 47112

CONFIG = """
[daemon]
listen = ["{listen}"]
admin = "{admin}"
socket = "{folder}/daemon/broker.sock"
runtime_dir = "{folder}/daemon"
minter_socket = "{folder}/minter.sock"

[credentials.train]
source = "aws-assume-role"
role_arn = "{role}"
region = "eu-west-1"
endpoint_url = "{sts}"

[callers.trainer]
uid = 0
allow_root = true
grants = ["train"]
"""


class Place(msgspec.Struct, frozen=True):
    """A folder that every account may pass through, with a mount namespace in which they all have a Python."""

    folder: Path
    space: tuple[str, ...]

    def as_user(self, uid: int, *command: str, groups: Sequence[int] = (), entered: bool = False) -> list[str]:
        """A command of that account, which has no capability."""
        own = [f"--reuid={uid}", f"--regid={uid}", "--groups=" + ",".join(map(str, (uid, *groups)))]
        less = ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        return [*(() if entered else self.space), "setpriv", *own, *less, "--", *command]

    @property
    def python(self) -> str:
        """The interpreter, as those accounts find it."""
        return f"{self.folder}/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def shell(self) -> dict[str, str]:
        """What every process of the test has around it."""
        found = {
            "PYTHONPATH": f"{self.folder}/tree:{self.folder}/packages",
            "LD_LIBRARY_PATH": f"{self.folder}/python/lib",
        }
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/nonexistent", **found}

    def reads(self, uid: int, path: Path) -> bool:
        """Whether that account can read a file."""
        return subprocess.run(self.as_user(uid, "cat", str(path)), capture_output=True, check=False).returncode == 0

    def owned(self, name: str, uid: int, mode: int) -> Path:
        """A folder of that account."""
        path = self.folder / name
        path.mkdir()
        os.chown(path, uid, uid)
        path.chmod(mode)
        return path


@pytest.fixture
def place() -> Iterator[Place]:
    """Gone with all its mounts when its holder's input ends."""
    with short_folder() as folder:
        folder.chmod(0o711)
        mounts = {"python": sys.base_prefix, "packages": Path(pytest.__file__).parent.parent, "tree": TREE}
        lines = []
        for name, source in mounts.items():
            (folder / name).mkdir()
            lines.append(f"mount --bind '{source}' '{folder / name}'")
        hold = ["unshare", "--mount", "--", "sh", "-ec", "\n".join([*lines, "echo up", "exec cat"])]
        with subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "up\n"
            yield Place(folder, ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--"))


@pytest.fixture
def identity(place: Place) -> Path:
    """Long-lived keys in a file of the minters' account: what LoadCredential= makes of one that only root may read."""
    keys = place.owned("identity", MINTER, 0o700) / "aws"
    keys.touch()
    os.chown(keys, MINTER, MINTER)
    keys.chmod(0o400)
    return keys


@pytest.fixture
def sts(identity: Path) -> Iterator[FakeSts]:
    """The cloud that knows those keys."""
    with FakeSts() as found:
        user = found.world.users[0]
        lines = ("[default]", f"aws_access_key_id = {user.access_key_id}", f"aws_secret_access_key = {user.secret}")
        identity.write_text("\n".join(lines))
        yield found


@pytest.fixture
def service(place: Place, sts: FakeSts, identity: Path) -> Iterator[Activated]:
    """The service as its units have it: a socket of the daemon's account, processes of the minters'."""
    config = place.folder / "config.toml"
    where = {"listen": free_address(), "admin": free_address(), "folder": place.folder}
    config.write_text(CONFIG.format(**where, role=sts.world.roles[0].arn, sts=sts.url))
    os.chown(config, 0, DAEMON)
    config.chmod(0o640)  # as the README installs it: root's, and readable for the daemon's group
    launch = Launch(Snapshot(), {**place.shell, "AWS_SHARED_CREDENTIALS_FILE": str(identity)})
    state = place.owned("state", MINTER, 0o700)
    program = [place.python, "-P", "-m", "broker.minter.service"]
    command = place.as_user(MINTER, *program, groups=[DAEMON], entered=True)
    with Activated(place.folder, launch, daemon_user=DAEMON, command=command, around=place.space, state=state) as found:
        os.chown(found.socket, DAEMON, DAEMON)
        found.socket.chmod(0o600)
        yield found


@pytest.fixture
def daemon(place: Place, service: Activated) -> Iterator["subprocess.Popen[bytes]"]:
    """`credbroker serve` of its own account, once it is ready."""
    place.owned("daemon", DAEMON, 0o755)
    program = [place.python, "-P", "-m", "broker.cli", "serve", "--config", str(place.folder / "config.toml")]
    log = place.folder / "daemon.log"
    with (
        log.open("wb") as said,
        subprocess.Popen(
            place.as_user(DAEMON, *program), env=place.shell, stderr=said, stdin=subprocess.DEVNULL
        ) as found,
    ):
        assert waited(lambda: asked(config(place).daemon.admin, "/readyz")[0] == 200), log.read_text() + service.log
        yield found
        found.terminate()


def config(place: Place) -> Config:
    """What both read."""
    return vetting.load(place.folder / "config.toml")[0]


def asked(address: object, path: str) -> tuple[int, dict[str, Any]]:
    """One request; 0 where nobody listens yet."""
    try:
        with contextlib.closing(http.client.HTTPConnection(str(address), timeout=20)) as caller:
            caller.request("GET", path, headers={"Authorization": "attested"})
            reply = caller.getresponse()
            return reply.status, json.loads(reply.read())
    except OSError:
        return 0, {}


class TestFault49:
    def test_49_only_the_minters_can_read_the_identity_and_the_lease_arrives(
        self, place: Place, identity: Path, service: Activated, daemon: "subprocess.Popen[bytes]"
    ):
        """The daemon gives out what it could not mint itself."""
        status, keys = asked(config(place).daemon.listen[0], "/aws/train")
        (minter,) = service.pids(1)
        owners = {int(Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[0]) for pid in (minter,)}

        assert (status, keys["AccountId"]) == (200, "123456789012")
        assert [place.reads(uid, identity) for uid in (DAEMON, MINTER, WORKER)] == [False, True, False]
        assert Path(f"/proc/{daemon.pid}").stat().st_uid in {0, DAEMON}  # root's, because it cannot be dumped
        assert owners == {MINTER}
        assert service.audit(0) == []

    def test_49_the_daemon_reaches_nothing_of_a_minter(
        self, place: Place, service: Activated, daemon: "subprocess.Popen[bytes]"
    ):
        """Neither what a minter is made of, nor what it keeps, nor what it is told to do."""
        (minter,) = service.pids(1)
        kept = place.folder / "state" / "last-good"
        secrets = [Path(f"/proc/{minter}/environ"), Path(f"/proc/{minter}/mem"), kept]

        assert kept.stat().st_uid == MINTER
        assert [path for path in secrets if place.reads(DAEMON, path)] == []
        assert place.reads(DAEMON, place.folder / "config.toml")
        tried = subprocess.run(
            place.as_user(DAEMON, "sh", "-c", f"echo >>'{place.folder}/config.toml'"), capture_output=True, check=False
        )
        assert tried.returncode != 0
        assert daemon.poll() is None

    @pytest.mark.parametrize(("mode", "heard"), [(0o600, False), (0o666, True)])
    def test_49_nobody_else_may_ask(self, place: Place, service: Activated, mode: int, heard: bool):
        """By the mode of the socket; and where that was set wrongly, by the kernel's word on who connected."""
        service.socket.chmod(mode)
        code = (
            "import socket, sys\n"
            "caller = socket.socket(socket.AF_UNIX)\n"
            "caller.connect(sys.argv[1])\n"
            "while caller.recv(4096): pass\n"
        )
        command = place.as_user(WORKER, place.python, "-I", "-c", code, str(service.socket))
        done = subprocess.run(command, env=place.shell, capture_output=True, check=False, timeout=30)
        audited = [(line["reason"], line["uid"]) for line in service.audit(int(heard))]

        assert (done.returncode == 0, b"PermissionError" in done.stderr) == (heard, not heard)
        assert audited == ([("peer", WORKER)] if heard else [])
