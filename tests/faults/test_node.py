"""One node, two users and the holder of a token, against the running program: each gets his own and nothing else."""

import os
from collections.abc import Callable

import pytest

from broker import control_api as api
from broker.control_client import Client
from broker.errors import BrokerError
from tests.cli.newcomer import until
from tests.faults.stage import ALICE, BOB, NOBODY, Broker, as_uid

NAMES = ("train", "mine", "hers", "his", "nosuch")
WAYS = ("/aws/{}", "/env/{}", "/token/{}")
Said = dict[str, tuple[int, str]]


def asks(broker: Broker, shown: str) -> Callable[[], Said]:
    """Every credential by every way, and the one without a name: status, and the id of the keys that came."""

    def play() -> Said:
        said: Said = {}
        for path in ("/aws", *(way.format(name) for way in WAYS for name in NAMES)):
            answer = broker.ask(broker.head(path, Authorization=shown))
            found = answer.json if answer.status == 200 else {}
            said[path] = (answer.status, found.get("AccessKeyId") or found.get("AWS_ACCESS_KEY_ID") or "")
        return said

    return play


def orders(path: str) -> Callable[[], list[str]]:
    """What becomes of orders for a token of each caller."""

    def play() -> list[str]:
        became = []
        for caller in ("me", "alice", "bob", "batch"):
            try:
                Client(path).post("/tokens", api.TokenOrder(caller=caller, ttl=60.0), api.Token)
                became.append(caller)
            except BrokerError:
                became.append("")
        return became

    return play


@pytest.mark.root
def test_two_uids_and_a_token_holder_on_one_node_get_each_their_own_and_nothing_else(broker: Broker):
    """By uid, by token, by any path, also at the control socket; the same name gives each keys of his own session."""
    token = broker.token("batch")
    players = {"alice": (ALICE, "attested"), "bob": (BOB, "attested"), "batch": (NOBODY, token)}
    own = {"alice": {"train", "hers"}, "bob": {"train", "his"}, "batch": {"train"}}
    owners: dict[str, str] = {}
    for caller, (uid, shown) in players.items():
        play = asks(broker, shown)
        until(lambda uid=uid, play=play: 503 not in {status for status, _ in as_uid(uid, play).values()})
        said = {path: (status, key) for path, (status, key) in as_uid(uid, play).items()}

        assert {path for path, (status, _) in said.items() if status == 200} == {
            "/aws",
            *(way.format(name) for name in own[caller] for way in WAYS[:2]),
        }
        assert {status for status, _ in said.values()} == {200, 403}
        for path, (_, key) in said.items():
            if key:
                record = broker.sts.registry.find(key)
                assert record is not None
                assert record.arn.endswith(f"-{caller}")
                assert owners.setdefault(key, caller) == caller, path

    assert len(owners) == 5
    assert {status for status, _ in as_uid(NOBODY, asks(broker, "attested")).values()} == {401}
    assert {status for status, _ in as_uid(NOBODY, asks(broker, token[:-1] + "_")).values()} == {401}


@pytest.mark.root
def test_nor_does_the_control_socket_give_one_the_other_s(broker: Broker):
    """Anybody may knock there; the kernel says who he is."""
    for folder in (broker.user.folder, broker.user.runtime, broker.user.socket.parent):
        folder.chmod(0o711)
    path = str(broker.user.socket)
    seen = {uid: as_uid(uid, lambda: rows(path)) for uid in (ALICE, BOB, NOBODY)}

    assert [as_uid(uid, orders(path)) for uid in (ALICE, BOB, NOBODY)] == [
        ["", "alice", "", ""],
        ["", "", "bob", ""],
        ["", "", "", ""],
    ]
    assert seen == {ALICE: ["alice"], BOB: ["bob"], NOBODY: []}
    assert os.getuid() == 0


def rows(path: str) -> list[str]:
    """The callers that one sees in the status."""
    return [row.name for row in Client(path).get("/status", api.Status).callers]
