"""Fault 39: everything at debug, every error forced, and then a hunt for secrets in all that is written and shown.

Hunted are the long-lived keys, every key and token that upstream has ever issued, every worker token, and what upstream
says in the bodies of its refusals.
"""

import contextlib
import http.client
import os
import re
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import control_api as api
from tests.cli.newcomer import ACCOUNT, CREDBROKER, TRAIN, newcomer, until
from tests.fakes.google import FakeGoogle, files
from tests.fakes.google import Fault as GoogleFault
from tests.fakes.sts import FakeSts, Fault, fault
from tests.fakes.sts_world import Role, User, World
from tests.faults.outage import refreshed, xml
from tests.faults.stage import NOBODY, Broker, as_uid

LONG_LIVED = "CANARY/longlived+secret"
WORLD = World(
    users=(User(name="alice", access_key_id="AKIACANARYALICE00001", secret=LONG_LIVED),),
    roles=(Role(arn=TRAIN), Role(arn=f"arn:aws:iam::{ACCOUNT}:role/closed", trusts=())),
)
CALLERS = """
    [credentials.data]
    source = "gcp-adc"
    file = "{key}"
    scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]

    [callers.me]
    ME
    grants = ["train", "mine", "closed", "data"]

    [callers.batch]
    worker_token = true
    grants = ["train", "data"]
"""
SAID = "UPSTREAM-TEXT"
ODD = {"SecretAccessKey": "CANARY-of-an-answer", "SessionToken": "CANARY-token-of-an-answer"}
REFUSALS = (
    fault("AccessDenied", 403),
    fault("Throttling"),
    fault("ExpiredToken"),
    Fault(status=500, body=SAID.encode()),
    Fault(body=b"<html>" + SAID.encode()),
    Fault(hang_up=True),
    xml(Expiration="2001-01-01T00:00:00Z", **ODD),
    xml(AccessKeyId=None, **ODD),
)
PATHS = ("/aws/closed", "/nowhere", "/token/data", "//aws/train")


class Hunt:
    """A broker that has seen everything, and what it and its commands have said meanwhile."""

    def __init__(self, broker: Broker, google: FakeGoogle, key: str) -> None:
        self.broker, self._google = broker, google
        self.said: dict[str, str] = {}
        self.tokens = [broker.token(), broker.token("batch", purpose="path"), broker.token("me", uid=os.getuid())]
        self._long = {LONG_LIVED, *key.split("\\n")[1:4]}

    @property
    def minted(self) -> set[str]:
        """Everything that upstream has issued, whether or not we have taken it."""
        keys = {part for one in self.broker.sts.registry.issued for part in (one.secret, one.session_token)}
        return keys | set(self._google.registry._issued) | set(ODD.values())

    def found_in(self, text: str, *, but: set[str] | frozenset[str] = frozenset()) -> set[str]:
        """The secrets in a text."""
        wanted = self._long | self.minted | set(self.tokens) | {SAID}
        return {secret for secret in wanted - but if secret in text}

    def force(self) -> None:
        """Every error that there is."""
        self._upstream()
        self._workers()
        self._people()

    def _upstream(self) -> None:
        broker = self.broker
        for one in REFUSALS:
            broker.sts.script = lambda _, one=one: one
            for credential in ("train", "mine"):
                refreshed(broker, credential)
        broker.sts.script = None
        for status in (401, 403, 500):
            self._google.fail("token", GoogleFault(status=status, body=SAID.encode()))
            refreshed(broker, "data")
        self._google.heal("token")
        for pid in broker.client.get("/status", api.Status).minters:
            os.kill(pid, signal.SIGKILL)
        for credential in ("train", "mine", "data"):
            until(lambda credential=credential: refreshed(broker, credential) == "ok")

    def _workers(self) -> None:
        broker, replies = self.broker, []
        for token in (*self.tokens, "cbw_" + "x" * 43, "Bearer nonsense"):
            for path in PATHS:
                heads = [broker.head(path, Authorization=token), broker.head(f"/w/{token}{path}")]
                heads.append(broker.head(path, Authorization=token, Origin="http://elsewhere"))
                heads.append(broker.head(path, host="elsewhere", Authorization=token))
                heads.append(broker.head(path, method="POST", Authorization=token))
                for head in heads:
                    with contextlib.suppress(AssertionError):
                        answer = broker.ask(head)
                        if answer.status != 200:
                            replies.append(f"{answer.fields} {answer.body.decode()}")
        assert len(replies) > 50
        self.said["refusals"] = "\n".join(replies)

    def _people(self) -> None:
        broker = self.broker
        for words in (
            "status",
            "status --json",
            "check",
            "whoami",
            "token list",
            "token list --json",
            "refresh closed",
        ):
            ran = broker.run(*words.split())
            self.said[words] = ran.out + ran.err
        path = broker.user.home / ".config/credbroker/config.toml"
        whole = path.read_text()
        path.write_text(f'{whole}\n[credentials.odd]\nsource = "{LONG_LIVED}"\nrole_arn = "{self.tokens[0]}"\n')
        ran = broker.run("reload")
        self.said["reload"] = ran.out + ran.err
        path.write_text(whole)
        with contextlib.closing(broker.connect()) as end:
            end.sendall(f"GET /aws HTTP/1.1\r\nAuthorization: {self.tokens[0]}\r\nX: {'x' * 20_000}\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            os.kill(broker.pid, signal.SIGHUP)


@pytest.fixture(scope="module")
def hunt() -> Iterator[Hunt]:
    """Everything has happened."""
    with FakeGoogle() as google, FakeSts(WORLD) as sts, newcomer(sts) as user:
        account = google.registry.service_account("train@my-project.iam.gserviceaccount.com")
        key = files.service_account(google, account)
        path = files.write(user.folder / "key.json", key)
        broker = Broker(user, sts, CALLERS.format(key=path), 'log_level = "debug"')
        identity = {"AWS_ACCESS_KEY_ID": "AKIACANARYALICE00001", "AWS_SECRET_ACCESS_KEY": LONG_LIVED}
        broker.environment = identity
        with broker:
            found = Hunt(broker, google, str(key["private_key"]).replace("\n", "\\n"))
            found.force()
            yield found


def processes(hunt: Hunt) -> list[int]:
    """The daemon and its minters."""
    return [hunt.broker.pid, *hunt.broker.client.get("/status", api.Status).minters]


class TestFault39:
    def test_39_the_hunt_would_find_them(self, hunt: Hunt):
        """What is hunted is what upstream really issued and the daemon really holds."""
        body = hunt.broker.ask(hunt.broker.attested()).body.decode()
        token = hunt.broker.ask(hunt.broker.attested("/token/data")).body.decode()

        assert len(hunt.found_in(body)) == 2
        assert len(hunt.found_in(token)) == 1
        assert len(hunt.minted) > 10

    def test_39_no_secret_in_what_is_written(self, hunt: Hunt):
        """Log at debug, audit, digests, and every other file but the user's own."""
        theirs = {"key.json", "credentials", "config.toml"}
        for path in hunt.broker.user.folder.rglob("*"):
            if path.is_file() and path.name not in theirs:
                assert hunt.found_in(path.read_bytes().decode("latin-1")) == set(), path
        assert len(hunt.broker.user.log().splitlines()) > 20
        assert len(hunt.broker.audit()) > 20

    def test_39_no_secret_in_what_is_shown(self, hunt: Hunt):
        """Commands, refusals, metrics."""
        assert {words: hunt.found_in(text) for words, text in hunt.said.items()} == {
            words: set() for words in hunt.said
        }
        assert hunt.found_in(scraped(hunt.broker)) == set()

    def test_39_no_secret_in_a_command_line_nor_lease_in_an_environment(self, hunt: Hunt):
        """Minters have the long-lived identity, and nothing of what was made of it."""
        for pid in processes(hunt):
            assert hunt.found_in(Path(f"/proc/{pid}/cmdline").read_bytes().decode()) == set()
        if os.getuid() == 0:  # nobody else may look
            for pid in processes(hunt):
                environment = Path(f"/proc/{pid}/environ").read_bytes().decode()
                assert hunt.found_in(environment, but={LONG_LIVED}) == set()

    def test_39_a_command_under_exec_has_its_own_token_alone(self, hunt: Hunt):
        """No identity, no lease, no token of others; its start says none of it."""
        code = "import os, sys; print(dict(os.environ)); print(open('/proc/self/cmdline').read())"
        ran = hunt.broker.user.shell([*CREDBROKER, "exec", "--no-token-env", "--", sys.executable, "-c", code])

        assert ran.status == 0
        assert hunt.found_in(ran.out + ran.err) == set()
        assert len(set(re.findall(r"cb[wp]_[\w-]{43}", ran.out))) == 2
        assert re.findall(r"cb[wp]_", ran.err) == []

    def test_39_nobody_else_reads_a_processs_environment_or_memory(self, hunt: Hunt):
        """Nor we ourselves where we are not root: none of them is dumpable."""
        pids = processes(hunt)

        def look() -> list[str]:
            seen = []
            for pid in pids:
                for name in ("environ", "mem", "maps"):
                    try:
                        with open(f"/proc/{pid}/{name}", "rb") as file:  # noqa: PTH123 - one read
                            file.read(1)
                        seen.append(name)
                    except PermissionError:
                        pass
            return seen

        assert (as_uid(NOBODY, look) if os.getuid() == 0 else look()) == []

    def test_39_a_crash_leaves_no_core_file(self, hunt: Hunt):
        """Neither the daemon nor a minter has one."""
        for pid in processes(hunt):
            assert resource.prlimit(pid, resource.RLIMIT_CORE)[0] == 0
        broker = hunt.broker
        assert broker.stop(signal.SIGABRT) == -signal.SIGABRT
        cores = [path for path in broker.user.folder.rglob("*core*") if path.is_file()]
        broker.start()

        assert cores == []
        assert hunt.found_in(broker.user.log()) == set()


def scraped(broker: Broker) -> str:
    """All metrics, and health."""
    said = ""
    with contextlib.closing(http.client.HTTPConnection(broker.admin, timeout=10)) as connection:
        for page in ("metrics", "readyz", "healthz"):
            connection.request("GET", f"/{page}")
            said += connection.getresponse().read().decode()
    return said
