"""What is shipped: the wheel, the systemd units, the image and the example configuration."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import broker
from broker import vetting
from broker.config.shape import Config
from tests.house import TREE

UNITS = TREE / "systemd"
SERVICE = UNITS / "credbroker.service"
MINTER = UNITS / "credbroker-minter@.service"
SERVICES = (SERVICE, MINTER)
EXPOSURE = 2.0


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """A finished program, whatever its status."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=120)


def assignments(unit: Path) -> Iterator[tuple[str, str]]:
    """The assignments of a unit file, in order."""
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(("#", "[")):
            yield key, value


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree without touching the network."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(TREE / name, source)
    shutil.copytree(TREE / "broker", source / "broker", ignore=shutil.ignore_patterns("__pycache__"))
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "-w", target)
    built = run(sys.executable, "-m", "pip", "wheel", *options, source)
    assert built.returncode == 0, built.stderr
    return next(target.glob("*.whl"))


class TestWheel:
    def test_it_holds_the_package_and_nothing_else(self, wheel: Path):
        """No test, no bench and no key of a test travels."""
        with zipfile.ZipFile(wheel) as archive:
            tops = {name.split("/")[0] for name in archive.namelist()}

        assert tops == {"broker", f"credbroker-{broker.__version__}.dist-info"}

    def test_it_carries_its_licence_and_its_types(self, wheel: Path):
        """Apache-2.0 asks for the one; type checkers for the other."""
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()

        assert "broker/py.typed" in names
        assert any(name.endswith("/LICENSE") for name in names)

    def test_installed_alone_it_brings_the_command(self, wheel: Path, tmp_path: Path):
        """As pipx and the image install it: a venv of its own, and `credbroker` on its path."""
        venv.create(tmp_path, with_pip=False, symlinks=True)
        python = tmp_path / "bin" / "python"
        options = ("--no-deps", "--no-index", "--quiet")
        installed = run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
        packages = next((tmp_path / "lib").glob("python*/site-packages"))
        # The dependencies as they are here; the editable broker is not among them, a .pth of a .pth is not read.
        (packages / "dependencies.pth").write_text(str(Path(pytest.__file__).parent.parent))
        answer = run(tmp_path / "bin" / "credbroker", "--version")
        minter = run(tmp_path / "bin" / "credbroker-minter", "--help")
        origin = run(python, "-P", "-c", "import broker; print(broker.__file__)")

        assert installed.returncode == 0, installed.stderr
        assert (answer.returncode, answer.stderr) == (0, "")
        assert broker.__version__ in answer.stdout
        assert (minter.returncode, minter.stderr, "--daemon-user" in minter.stdout) == (0, "", True)
        assert origin.stdout.strip() == str(packages / "broker" / "__init__.py")


class TestUnits:
    @pytest.fixture
    def units(self, tmp_path: Path) -> list[Path]:
        """The units as installed, with the commands where they are on this machine."""
        for unit in UNITS.glob("credbroker*.s[eo]*"):
            shutil.copy(unit, tmp_path)
        command = Path(sys.executable).with_name("credbroker")
        for service in tmp_path.glob("*.service"):
            service.write_text(service.read_text().replace("/usr/local/bin/credbroker", str(command)))
        return sorted(path for path in tmp_path.iterdir() if path.suffix in {".service", ".socket"})

    def test_systemd_finds_nothing_to_say(self, units: list[Path]):
        """It only warns of an unknown or malformed setting, and then ignores it: so silence is asked for."""
        verdict = run("systemd-analyze", "verify", "--man=no", *units)

        assert (verdict.returncode, verdict.stderr, verdict.stdout) == (0, "", "")

    def test_nor_where_both_are_one_unit(self, units: list[Path]):
        """The drop-in for a node without the minter service."""
        folder = units[0].parent / "credbroker.service.d"
        folder.mkdir()
        shutil.copy(UNITS / "alone.conf", folder)
        verdict = run("systemd-analyze", "verify", "--man=no", *units)

        assert (verdict.returncode, verdict.stderr, verdict.stdout) == (0, "", "")
        assert dict(assignments(folder / "alone.conf")) == {"IPAddressDeny": "", "IPAddressAllow": ""}

    def test_systemd_would_say_it(self, units: list[Path]):
        """A seeded mistake is reported, with or without a systemd at PID 1."""
        service = next(unit for unit in units if unit.name == SERVICE.name)
        service.write_text(service.read_text().replace("WatchdogSec=", "WatchDogSec="))

        assert "WatchDogSec" in run("systemd-analyze", "verify", "--man=no", *units).stderr

    @pytest.mark.parametrize("service", SERVICES, ids=lambda unit: unit.name)
    def test_little_is_exposed(self, service: Path):
        """2.0 or less of 10 by systemd's own count."""
        verdict = run("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=20", service)
        exposure = re.search(r"exposure level for \S+: ([0-9.]+)", verdict.stdout)

        assert exposure is not None, verdict.stderr
        assert (verdict.returncode, float(exposure[1]) <= EXPOSURE) == (0, True), verdict.stdout

    @pytest.mark.parametrize("service", SERVICES, ids=lambda unit: unit.name)
    def test_others_keep_their_uids(self, service: Path):
        """In a user namespace of its own a unit sees all others as the overflow uid: workers, or the daemon."""
        assert ("PrivateUsers", "no") in set(assignments(service))

    @pytest.mark.parametrize("service", SERVICES, ids=lambda unit: unit.name)
    @pytest.mark.parametrize("held", ["MemoryDenyWriteExecute=yes", "UMask=0077", "LimitCORE=0", "NoNewPrivileges=yes"])
    def test_nothing_is_left_behind_or_gained(self, service: Path, held: str):
        """No core with leases in it, no file of others', no code that was not there, no privilege."""
        assert tuple(held.split("=")) in set(assignments(service))

    def test_only_the_daemon_may_ask_the_kernel_whose_a_connection_is(self):
        """Attestation needs netlink sockets, without which every caller by uid is refused; a mint needs none."""
        daemon, minter = (dict(assignments(service))["RestrictAddressFamilies"].split() for service in SERVICES)

        assert minter == ["AF_INET", "AF_INET6", "AF_UNIX"]
        assert daemon == [*minter, "AF_NETLINK"]

    def test_only_the_minters_reach_the_world(self):
        """The daemon answers workers on this node, and mints nothing itself."""
        daemon, minter = (dict(assignments(service)) for service in SERVICES)

        assert (daemon["IPAddressDeny"], daemon["IPAddressAllow"]) == ("any", "localhost")
        assert "IPAddressDeny" not in minter

    def test_each_socket_of_the_daemon_has_a_name_of_its_own(self):
        """The daemon tells its inherited sockets apart by these names."""
        found = {
            unit["FileDescriptorName"]: unit["ListenStream"]
            for unit in (dict(assignments(path)) for path in UNITS.glob("*.socket"))
            if unit.get("Service") == SERVICE.name
        }

        assert found == {"worker": "127.0.0.1:911", "control": "/run/credbroker/broker.sock"}

    def test_the_minters_are_there_for_the_daemon_alone(self):
        """A process of its own for each connection; nobody but the daemon's account may open one."""
        daemon, minter = (dict(assignments(service)) for service in SERVICES)
        listening = dict(assignments(UNITS / "credbroker-minter.socket"))
        options = shlex.split(minter["ExecStart"])

        assert (listening["Accept"], listening["SocketMode"], listening["SocketUser"]) == (
            "yes",
            "0600",
            daemon["User"],
        )
        assert options[options.index("--daemon-user") + 1] == daemon["User"] != minter["User"]
        assert options[options.index("--config") + 1] == shlex.split(daemon["ExecStart"])[-1]

    def test_the_identity_is_out_of_the_daemons_reach(self):
        """Whatever the modes of its files are."""
        hidden = dict(assignments(SERVICE))["InaccessiblePaths"].split()

        assert hidden == ["-/etc/credbroker/identity", f"-/var/lib/{dict(assignments(MINTER))['StateDirectory']}"]

    @pytest.mark.parametrize("service", SERVICES, ids=lambda unit: unit.name)
    def test_the_account_is_the_one_of_the_service(self, service: Path):
        """sysusers.d makes the account that the unit runs as, with the home that the unit provides."""
        lines = (UNITS / "credbroker.sysusers").read_text().splitlines()
        made = {line[1]: line for line in (shlex.split(line, comments=True) for line in lines) if line}
        unit = dict(assignments(service))

        assert made[unit["User"]][0] == "u"
        assert made[unit["User"]][4] == f"/var/lib/{unit['StateDirectory']}"


class TestImage:
    instructions = re.findall(r"^([A-Z]+) (.+(?:\\\n.+)*)$", (TREE / "deploy/Dockerfile").read_text(), re.MULTILINE)

    def test_what_it_copies_is_in_the_tree(self):
        """There is no engine to build it here; a file that moved would be found at the next release only."""
        copied = [line.split()[:-1] for name, line in self.instructions if name == "COPY" and "--from" not in line]

        assert copied
        assert [source for line in copied for source in line if not (TREE / source).exists()] == []

    def test_it_copies_all_that_the_wheel_is_built_from(self):
        """Hatchling needs the readme and the licence besides the package."""
        copied = {word for name, line in self.instructions if name == "COPY" for word in line.split()}

        assert {"pyproject.toml", "README.md", "LICENSE", "broker", "constraints.txt"} <= copied

    def test_it_can_be_built_with_every_extra(self):
        """There is no pip in the image to add one later."""
        text = (TREE / "deploy/Dockerfile").read_text()
        named = re.findall(r"EXTRAS=\[([a-z,]+)\]", text)
        project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]

        assert [set(one.split(",")) for one in named] == [set(project["optional-dependencies"])]
        assert '"$(echo dist/*.whl)$EXTRAS"' in text

    def test_it_does_not_run_as_root(self):
        """`credbroker serve` of root would take part in no boundary."""
        users = [line for name, line in self.instructions if name == "USER"]

        assert users
        assert users[-1] not in {"root", "0"}

    def test_it_runs_the_command(self):
        """The exec form: signals reach the daemon, not a shell."""
        last = dict(self.instructions)

        assert json.loads(last["ENTRYPOINT"]) == ["credbroker"]
        assert json.loads(last["CMD"])[0] == "serve"


class TestExample:
    @pytest.fixture
    def config(self, tmp_path: Path) -> Config:
        """The example as an administrator installs it: not writable by others, in a folder that is not either."""
        file = tmp_path / "config.toml"
        file.write_text((TREE / "deploy/config.toml").read_text())
        file.chmod(0o600)
        return vetting.load(file)[0]

    def test_it_reads_without_a_mistake(self, config: Config):
        """What people copy has to work."""
        assert {credential.name for credential in config.credentials} == {"base", "train", "data"}
        assert [caller.name for caller in config.callers] == ["trainer", "ci"]

    def test_it_listens_where_the_sockets_are(self, config: Config):
        """A socket unit that hands over another address would be refused at start."""
        sockets = {dict(assignments(path))["ListenStream"] for path in UNITS.glob("*.socket")}

        assert {*map(str, config.daemon.listen), config.daemon.socket, config.daemon.minter_socket} == sockets


class TestConstraints:
    def test_every_line_pins_one_version(self):
        """No address, no range, nothing of one machine."""
        lines = [line for line in (TREE / "constraints.txt").read_text().splitlines() if not line.startswith("#")]

        assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line)] == []
