"""MosaicML Streaming at Alipan, and alipcs_py below it, by what the broker puts into their environment."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.stage import CREDBROKER, PROGRAMS, Daemon, bare, clients_python, free_address, seen
from tests.fakes import certificates
from tests.fakes.alipan import HOSTS, FakeAlipan

pytestmark = pytest.mark.clients

TOKEN = "5f0c-refresh"
_CONFIG = """
[daemon]
listen = ["127.0.0.1:0"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"

[credentials.pan]
source = "alipan"
refresh_token = {{ file = "pan.token" }}

[credentials.sealed]
source = "alipan"
refresh_token = {{ file = "pan.token" }}
encrypt_password = {{ file = "pan.password" }}
encrypt_type = "AES256CBC"

[credentials.revoked]
source = "alipan"
refresh_token = {{ file = "pan.password" }}

[callers.trainer]
uid = {uid}
allow_root = true
grants = ["pan", "sealed", "revoked"]
"""


class Drive:
    """The fake, and a daemon with its account's token."""

    def __init__(self, fake: FakeAlipan, folder: Path) -> None:
        self.fake = fake
        self._folder = folder

    def under_exec(self, home: Path, use: str, folder: str) -> subprocess.Popen[str]:
        """The program, started with one of the credentials."""
        program = [str(clients_python()), str(PROGRAMS / "streaming_alipan.py"), self.fake.url, "data", folder]
        trusted = {"REQUESTS_CA_BUNDLE": str(self._folder / "localhost.pem")}
        environment = bare(home, CREDBROKER_SOCKET=str(self._folder / "broker.sock"), **trusted)
        command = [*CREDBROKER, "exec", "--use", use, "--", *program]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    """Everything running."""
    folder = tmp_path_factory.mktemp("alipan")
    folder.chmod(0o700)
    tls = certificates.write(folder, also=[f"*{host}" for host in HOSTS]).context()
    for name, text in (("token", TOKEN), ("password", "pass word")):
        (folder / f"pan.{name}").touch(0o600)
        (folder / f"pan.{name}").write_text(text)
    admin, config = free_address(), folder / "config.toml"
    config.write_text(_CONFIG.format(admin=admin, folder=folder, uid=os.getuid()))
    config.chmod(0o600)
    with FakeAlipan(tls) as fake, Daemon(config, admin, bare(folder)):
        fake.refresh_tokens.add(TOKEN)
        yield Drive(fake, folder)


class TestUnderExec:
    def test_it_reads_and_writes_with_the_token_of_its_environment(self, drive: Drive, home: Path):
        """It signs in, and Alipan refuses it nothing but to look for what is not there yet."""
        body = os.urandom(100_000)
        drive.fake.files["/data/plain/in.bin"] = body

        saw = seen(drive.under_exec(home, "pan", "plain"))

        assert saw.sha256 == hashlib.sha256(body).hexdigest()
        assert drive.fake.files["/data/plain/out.bin"] == body
        assert set(drive.fake.refused) <= {"NotFound.File"}

    def test_what_it_encrypts_it_reads_again(self, drive: Drive, home: Path):
        """By the password and the type of its environment; Alipan sees neither."""
        body = os.urandom(100_000)
        drive.fake.files["/data/first/in.bin"] = body
        seen(drive.under_exec(home, "sealed", "first"))
        sealed = drive.fake.files["/data/second/in.bin"] = drive.fake.files["/data/first/out.bin"]

        saw = seen(drive.under_exec(home, "sealed", "second"))

        assert saw.sha256 == hashlib.sha256(body).hexdigest()
        assert body[:1000] not in sealed

    def test_a_token_that_is_no_longer_good_is_alipans_word(self, drive: Drive, home: Path):
        """The broker dispenses it and cannot know; the client says what is wrong."""
        with drive.under_exec(home, "revoked", "plain") as process:
            _, told = process.communicate(timeout=60)

        assert process.returncode != 0
        assert "InvalidParameter.RefreshToken" in told
