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

TOKEN, KEPT = "5f0c-refresh", "77ab-refresh"
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

[credentials.kept]
source = "alipan"
refresh_token = {{ file = "kept.token" }}
keep_fresh = true
api_url = "{url}"

[callers.trainer]
uid = {uid}
allow_root = true
grants = ["pan", "sealed", "revoked", "kept"]
"""


class Drive:
    """The fake, and a daemon with its account's token."""

    def __init__(self, fake: FakeAlipan, folder: Path) -> None:
        self.fake = fake
        self._folder = folder

    @property
    def kept(self) -> str:
        """What stands in the file of the token that is kept fresh."""
        return (self._folder / "kept.token").read_text().strip()

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
    for name, text in (("pan.token", TOKEN), ("pan.password", "pass word"), ("kept.token", KEPT)):
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    admin, config = free_address(), folder / "config.toml"
    with FakeAlipan(tls) as fake:
        config.write_text(_CONFIG.format(admin=admin, folder=folder, uid=os.getuid(), url=fake.url))
        config.chmod(0o600)
        fake.refresh_tokens |= {TOKEN, KEPT}
        with Daemon(config, admin, bare(folder, REQUESTS_CA_BUNDLE=str(folder / "localhost.pem"))):
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

    def test_what_is_kept_fresh_serves_it_as_well(self, drive: Drive, home: Path):
        """The broker has exchanged the first one; the client does so again for each file, and keeps that to itself."""
        body = os.urandom(100_000)
        drive.fake.files["/data/kept/in.bin"] = body
        young = drive.kept
        assert young != KEPT
        drive.fake.refresh_tokens.discard(KEPT)

        saw = seen(drive.under_exec(home, "kept", "kept"))

        assert saw.sha256 == hashlib.sha256(body).hexdigest()
        assert drive.fake.files["/data/kept/out.bin"] == body
        assert drive.kept == young

    def test_were_a_token_good_once_its_own_client_could_not_use_it(self, drive: Drive, home: Path):
        """What the broker goes by: the uploader refreshes at its start, the downloader for each file, by the same."""
        drive.fake.files["/data/once/in.bin"] = b"x"
        drive.fake.once = True
        try:
            with drive.under_exec(home, "pan", "once") as process:
                _, told = process.communicate(timeout=60)
        finally:
            drive.fake.once = False
            drive.fake.refresh_tokens.add(TOKEN)

        assert process.returncode != 0
        assert "InvalidParameter.RefreshToken" in told
