"""Fault 49 against the running programs: the daemon, taken over, asks the minter service for what is not configured.

`credbroker serve` and the service are processes of their own, as systemd starts them; only the service has an identity.
Whoever runs in the daemon may say anything on its connections to the service: so does a connection of the test's.
"""

import contextlib
import http.client
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker import vetting
from broker.config import read
from broker.config.shape import Snapshot
from broker.minter import frames
from broker.minter.client import Launch
from broker.minter.frames import Brought, Call, Failed
from broker.model import AccessToken, Ask, AwsKeys, CallerFacts, Given, Value
from broker.secret import Secret
from tests.clients.stage import Daemon, free_address
from tests.fakes.sts import FakeSts
from tests.minter.services import Activated, Connection, short_folder

CONFIG = """
[daemon]
listen = ["{listen}"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"
minter_socket = "{folder}/minter.sock"

[credentials.base]
source = "aws-session"
region = "eu-west-1"
endpoint_url = "{sts}"

[credentials.train]
source = "aws-assume-role"
from = "base"
role_arn = "{role}"
session_name = "{{caller}}"
region = "eu-west-1"
endpoint_url = "{sts}"

[credentials.mine]
source = "aws-assume-role"
role_arn = "{role}"
session_name = "of-{{user}}"
region = "eu-west-1"
endpoint_url = "{sts}"

[credentials.admin]
source = "aws-assume-role"
role_arn = "{role}"
region = "eu-west-1"
endpoint_url = "{sts}"

[credentials.data]
source = "gcp-adc"
file = "{folder}/key.json"
warm = "first-use"
audiences = ["https://service.example"]

[callers.trainer]
uid = {uid}
allow_root = true
grants = ["train", "mine", "data"]

[callers.other]
group = "vision"
grants = ["data"]
"""
KEYS = AwsKeys("ASIAINVENTED00000000", Secret("of whoever"), Secret("runs in there"))
TOKEN = AccessToken(Secret("ya29.invented"))


class Node:
    """The running programs: one workers ask, one that mints, and the cloud."""

    def __init__(self, folder: Path, listen: str, sts: FakeSts, service: Activated) -> None:
        self.sts = sts
        self.service = service
        self.config = folder / "config.toml"
        self._listen = listen

    @property
    def generation(self) -> str:
        """Of the files as they are now."""
        return vetting.load(self.config)[0].generation

    def lease(self, path: str = "/aws/train") -> tuple[int, dict[str, Any]]:
        """What a worker gets."""
        with contextlib.closing(http.client.HTTPConnection(self._listen, timeout=20)) as worker:
            worker.request("GET", path, headers={"Authorization": "attested"})
            reply = worker.getresponse()
            return reply.status, json.loads(reply.read())

    def asked(
        self,
        credential: str,
        do: str = "mint",
        base: Value | None = None,
        generation: str | None = None,
        audience: str | None = None,
        **facts: str,
    ) -> frames.Answer:
        """What the service answers to somebody in the daemon's place."""
        given, who = Given(base=base, audience=audience), CallerFacts(**{"caller": "trainer", "uid": "1000", **facts})
        ask = Ask(credential=credential, facts=who, generation=generation or self.generation, given=given)
        with contextlib.closing(Connection(self.service.socket)) as taken_over:
            taken_over.send(frames.pack(Call(do=do, ask=ask)))  # type: ignore[arg-type]  # whatever is wished for
            return taken_over.answer()


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """Both programs, `train` held; the identity is in the environment of the service alone."""
    with short_folder() as folder, FakeSts() as sts:
        (folder / "state").mkdir(mode=0o700)
        (folder / "home").mkdir(mode=0o700)
        user, role = sts.world.users[0], sts.world.roles[0]
        listen, admin = free_address(), free_address()
        config = folder / "config.toml"
        where = {"listen": listen, "admin": admin, "folder": folder, "role": role.arn, "sts": sts.url}
        config.write_text(CONFIG.format(**where, uid=os.getuid()))
        config.chmod(0o600)
        shell = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LANG": "C.UTF-8"}
        keys = {"AWS_ACCESS_KEY_ID": user.access_key_id, "AWS_SECRET_ACCESS_KEY": user.secret}
        launch = Launch(vetting.load(config)[1], {**shell, **keys})
        with Activated(folder, launch, state=folder / "state") as service, Daemon(config, admin, shell):
            yield Node(folder, listen, sts, service)


class TestFault49:
    def test_49_an_honest_daemon_gets_its_leases(self, node: Node):
        """It has no identity and no child: they come from the service, the chained one by way of its base."""
        status, keys = node.lease()

        assert (status, keys["AccountId"]) == (200, "123456789012")
        assert node.sts.count("GetSessionToken") == 1
        assert node.service.audit(0) == []

    @pytest.mark.parametrize(
        ("ask", "reason"),
        [
            ({"credential": "root"}, "credential"),
            ({"credential": "arn:aws:iam::123456789012:role/admin"}, "credential"),
            ({"credential": "mine", "caller": "root"}, "caller"),
            ({"credential": "admin"}, "grant"),
            ({"credential": "train", "caller": "other", "base": KEYS}, "grant"),
            ({"credential": "base", "caller": "other"}, "grant"),
            ({"credential": "mine", "user": "alice bob"}, "facts"),
            ({"credential": "mine", "user": "{uid}"}, "facts"),
            ({"credential": "mine"}, "facts"),
            ({"credential": "mine", "user": "alice", "uid": "-1"}, "facts"),
            ({"credential": "mine", "user": "alice", "group": "wheel"}, "facts"),
            ({"credential": "data", "caller": "other", "group": "trainers"}, "facts"),
            ({"credential": "data", "audience": "https://elsewhere.example"}, "audience"),
            ({"credential": "base", "audience": "https://service.example"}, "audience"),
            ({"credential": "train"}, "base"),
            ({"credential": "train", "base": TOKEN}, "base"),
            ({"credential": "mine", "user": "alice", "base": KEYS}, "base"),
            ({"credential": "mine", "user": "alice", "generation": "0" * 64}, "generation"),
            ({"credential": "mine", "user": "alice", "do": "find"}, "question"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_49_what_is_not_configured_is_refused_and_audited(self, node: Node, ask: dict[str, Any], reason: str):
        """By the minter, in its own journal, before anything is asked of the cloud."""
        calls, lines = len(node.sts.calls), len(node.service.audit(0))
        refused = node.asked(**ask)
        audited = node.service.audit(lines + 1)[lines:]

        assert isinstance(refused, Failed)
        assert (refused.error, refused.code) == ("Unreachable", "NotAdmitted")
        assert [(line["event"], line["reason"], line["uid"]) for line in audited] == [
            ("AskRefused", reason, os.getuid())
        ]
        assert len(node.sts.calls) == calls

    def test_49_a_configuration_of_its_own_is_not_believed(self, node: Node):
        """What a child would be sent first is refused, and changes nothing for the question after it."""
        text = node.config.read_text().replace('grants = ["train",', 'grants = ["admin", "train",')
        invented = Snapshot(((str(node.config), text.encode()),))
        generation = read.parse(invented).generation
        lines = len(node.service.audit(0))
        who = CallerFacts(caller="trainer", uid="1000")
        with contextlib.closing(Connection(node.service.socket)) as taken_over:
            taken_over.send(frames.wrap(invented.pack()))
            answers = [taken_over.answer()]
            for one in (generation, node.generation):
                taken_over.send(frames.pack(Call(do="mint", ask=Ask(credential="admin", facts=who, generation=one))))
                answers.append(taken_over.answer())

        assert all(isinstance(answer, Failed) for answer in answers)
        assert [line["reason"] for line in node.service.audit(lines + 3)[lines:]] == ["frame", "generation", "grant"]

    def test_49_what_it_may_ask_is_what_it_has_anyway(self, node: Node):
        """A granted credential for a granted caller: all that is left to whoever runs in there, and always was."""
        answer = node.asked("mine", user="alice")

        assert isinstance(answer, Brought)
        assert answer.minted.facts.arn is not None
        assert answer.minted.facts.arn.endswith(":assumed-role/train/of-alice")

    def test_49_what_was_taken_back_is_not_minted_by_the_old_generation(self, node: Node):
        """Nor while the new one is on disk unloaded; the daemon serves what it holds, and says what it waits for."""
        before, text = node.generation, node.config.read_text()
        try:
            node.config.write_text(text.replace('"train", "mine", "data"', '"train"'))
            old = node.asked("mine", user="alice", generation=before)
            new = node.asked("mine", user="alice")
            status, _ = node.lease()
        finally:
            node.config.write_text(text)

        assert isinstance(old, Failed)
        assert "credbroker reload" in old.advice
        assert isinstance(new, Failed)
        assert "not granted" in new.advice
        assert status == 200

    def test_49_a_mistake_on_disk_gives_it_nothing_more(self, node: Node):
        """While an administrator edits, the last good configuration holds: with its grants, and for its generation."""
        before, text = node.generation, node.config.read_text()
        assert isinstance(node.asked("mine", user="alice"), Brought)
        try:
            node.config.write_text(text + "[callers.trainer\n")
            granted = node.asked("mine", user="alice", generation=before)
            admin = node.asked("admin", generation=before)
            other = node.asked("mine", user="alice", generation="0" * 64)
        finally:
            node.config.write_text(text)

        assert isinstance(granted, Brought)
        assert isinstance(admin, Failed)
        assert isinstance(other, Failed)
        assert "has mistakes" in other.advice
