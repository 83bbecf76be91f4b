"""Faults 24 and 27 at IMDSv2, against the running program: what an SSRF can send, and session tokens that are not good.

A strict fake STS, and `credbroker serve` in a process of its own. Its caller has `bare = true`: the worst case.
"""

import contextlib
import http.client
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.callers.loopback import OTHER_UID, made_by
from tests.clients.stage import Daemon, free_address
from tests.fakes.sts import FakeSts

TOKEN, TTL = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"
NOTHING: Mapping[str, str] = {}
ROLES = "/latest/meta-data/iam/security-credentials"
PATHS = [
    *("/latest", "/latest/", "/latest/meta-data/", ROLES, f"{ROLES}/", f"{ROLES}/train", f"{ROLES}-extended/train"),
    *("/latest/meta-data/placement/region", "/latest/dynamic/instance-identity/document", "/latest/user-data"),
    *("/latest/api/token", f"{ROLES}/train?x-aws-ec2-metadata-token=x"),
]
MANY = 20_000
PATIENCE = 10.0

CONFIG = """
[daemon]
listen = ["{listen}"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"
audit_file = "{folder}/audit"
imds = true

[credentials.train]
source = "aws-assume-role"
role_arn = "{role}"
region = "eu-west-1"
endpoint_url = "{sts}"

[callers.trainer]
any = [{{ uid = {uid} }}, {{ uid = {other} }}]
allow_root = true
bare = true
grants = ["train"]
"""


class Said(msgspec.Struct, frozen=True):
    """A reply: field names in lower case."""

    status: int
    fields: dict[str, str]
    body: bytes


class Broker:
    """A daemon that is ready, and requests to it."""

    def __init__(self, address: str, folder: Path, pid: int) -> None:
        self.address = address
        self.folder = folder
        self.pid = pid

    def connect(self, uid: int | None = None) -> http.client.HTTPConnection:
        """A connection that the kernel attests as ours, or as that uid's."""
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        with made_by(uid):
            connection.connect()
        return connection

    def ask(self, method: str, path: str, fields: Mapping[str, str] = NOTHING, uid: int | None = None) -> Said:
        """One request on a connection of its own."""
        with contextlib.closing(self.connect(uid)) as connection:
            return said(connection, method, path, fields)

    def put(self, ttl: str | None = "600", fields: Mapping[str, str] = NOTHING, uid: int | None = None) -> Said:
        """Ask for a session token."""
        lifetime = {} if ttl is None else {TTL: ttl}
        return self.ask("PUT", "/latest/api/token", {**lifetime, **fields}, uid)

    def get(self, path: str, token: str, uid: int | None = None) -> Said:
        """Show one."""
        return self.ask("GET", path, {TOKEN: token}, uid)

    def resident(self) -> int:
        """Bytes of memory that the daemon has."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")


def said(connection: http.client.HTTPConnection, method: str, path: str, fields: Mapping[str, str]) -> Said:
    """One request on an open connection."""
    connection.request(method, path, headers=fields)
    reply = connection.getresponse()
    return Said(reply.status, {name.lower(): text for name, text in reply.headers.items()}, reply.read())


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The program with `imds = true`, its one lease held."""
    folder = tmp_path_factory.mktemp("imds")
    folder.chmod(0o700)
    with FakeSts() as sts:
        listen, admin = free_address(), free_address()
        user, role = sts.world.users[0], sts.world.roles[0]
        config = folder / "config.toml"
        where = {"listen": listen, "admin": admin, "folder": folder, "role": role.arn, "sts": sts.url}
        config.write_text(CONFIG.format(**where, uid=os.getuid(), other=OTHER_UID))
        config.chmod(0o600)
        identity = {"AWS_ACCESS_KEY_ID": user.access_key_id, "AWS_SECRET_ACCESS_KEY": user.secret}
        shell = {"PATH": os.environ["PATH"], "HOME": str(folder), **identity}
        with Daemon(config, admin, shell) as daemon:
            yield Broker(listen, folder, daemon._process.pid)


class TestFault24:
    def test_24_a_bare_get_is_answered_elsewhere_here(self, broker: Broker):
        """The caller is one that needs to show nothing: what is refused below is refused for being IMDSv1."""
        assert broker.ask("GET", "/aws/train").status == 200

    @pytest.mark.parametrize("path", PATHS)
    def test_24_a_get_without_a_session_token_is_401(self, broker: Broker, path: str):
        """IMDSv1 is never served: not its paths, and not whether they are there."""
        answer = broker.ask("GET", path)

        assert answer.status == 401
        assert b"ASIA" not in answer.body

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("shown", ["attested", "Bearer attested", "Basic YTpi"])
    def test_24_nothing_else_stands_in_for_it(self, broker: Broker, path: str, shown: str):
        """A server that can be made to send Authorization gets no further."""
        assert broker.ask("GET", path, {"Authorization": shown}).status == 401

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("X-Forwarded-For", "10.0.0.1"), ("Forwarded", "for=10.0.0.1"), ("Via", "1.1 proxy")),
            *(("Origin", "http://evil.example"), ("Referer", "http://evil.example/"), ("Sec-Fetch-Mode", "cors")),
            ("Host", "evil.example"),
        ],
    )
    def test_24_a_proxy_or_a_browser_gets_no_session_token(self, broker: Broker, field: str, value: str):
        """As EC2 refuses X-Forwarded-For: whoever passes requests on is nobody's identity."""
        assert broker.put(fields={field: value}).status == 403

    @pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "DELETE", "PATCH"])
    def test_24_no_other_method_gets_one(self, broker: Broker, method: str):
        """A form, a preflight."""
        assert broker.ask(method, "/latest/api/token", {TTL: "600"}).status == 405


class TestFault27:
    @pytest.mark.parametrize("ttl", ["0", "-1", "21601", "1e3", None, "", "+1", "1.0", "0x10", "1_0", "9" * 400])
    def test_27_a_lifetime_that_is_none_is_400(self, broker: Broker, ttl: str | None):
        """Strictly digits, 1 to 21600."""
        assert broker.put(ttl).status == 400

    @pytest.mark.parametrize("ttl", ["1", "21600"])
    def test_27_the_limits_themselves_are_good(self, broker: Broker, ttl: str):
        """And the reply says the same number."""
        answer = broker.put(ttl)

        assert (answer.status, answer.fields[TTL.lower()]) == (200, ttl)

    def test_27_a_good_one_opens_the_lease(self, broker: Broker):
        """Otherwise the refusals below would show nothing."""
        document: Any = json.loads(broker.get(f"{ROLES}/train", broker.put().body.decode()).body)

        assert (document["Code"], document["AccessKeyId"][:4]) == ("Success", "ASIA")

    def test_27_an_altered_one_is_401(self, broker: Broker):
        """Each character of it."""
        token = broker.put().body.decode()
        with contextlib.closing(broker.connect()) as connection:
            statuses = {said(connection, "GET", ROLES, {TOKEN: altered(token, at)}).status for at in range(len(token))}

        assert statuses == {401}

    def test_27_an_expired_one_is_401(self, broker: Broker):
        """After its second, and not before."""
        began = time.monotonic()
        token = broker.put("1").body.decode()
        statuses = [broker.get(ROLES, token).status]
        while statuses[-1] == 200 and time.monotonic() < began + PATIENCE:
            time.sleep(0.02)
            statuses.append(broker.get(ROLES, token).status)

        assert (statuses[0], statuses[-1]) == (200, 401)
        assert time.monotonic() - began >= 0.99  # the token has milliseconds

    @pytest.mark.root
    def test_27_another_uid_s_is_401(self, broker: Broker):
        """Both are the same caller, with the same grant: it is the token that is not theirs."""
        ours, theirs = broker.put().body.decode(), broker.put(uid=OTHER_UID).body.decode()

        assert broker.get(ROLES, ours).status == broker.get(ROLES, theirs, uid=OTHER_UID).status == 200
        assert broker.get(ROLES, theirs).status == broker.get(ROLES, ours, uid=OTHER_UID).status == 401

    @pytest.mark.root
    def test_27_a_uid_that_is_no_caller_gets_none(self, broker: Broker):
        """401, which sends nobody to IMDSv1."""
        assert broker.put(uid=OTHER_UID + 1).status == 401

    def test_27_there_is_no_table_to_flood(self, broker: Broker):
        """So many tokens, all still good, and no memory for them."""
        with contextlib.closing(broker.connect()) as connection:
            first = new_token(connection)
            before = broker.resident()
            for _ in range(MANY - 1):
                new_token(connection)
            last = new_token(connection)
            grown = broker.resident() - before

        assert broker.get(ROLES, first).status == broker.get(ROLES, last).status == 200
        assert grown < MANY * len(first)

    def test_27_no_token_is_written_down(self, broker: Broker):
        """Neither in the audit file nor in the log, whether it was good or not."""
        token = broker.put().body.decode()
        broker.get(f"{ROLES}/train", token)
        broker.get(f"{ROLES}/train", altered(token, 20))
        audit, log = ((broker.folder / name).read_text() for name in ("audit", "daemon.log"))

        assert "imds-token-not-good" in audit
        assert token[16:] not in audit + log
        assert "cbi_" not in audit + log


def altered(token: str, at: int) -> str:
    """The token with another character there."""
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


def new_token(connection: http.client.HTTPConnection) -> str:
    """A session token for six hours."""
    answer = said(connection, "PUT", "/latest/api/token", {TTL: "21600"})
    assert answer.status == 200
    return answer.body.decode()
