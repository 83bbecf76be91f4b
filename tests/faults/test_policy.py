"""Fault 30: who asks for what he is not granted learns nothing, and the audit line everything."""

import json
import os
import re
from collections.abc import Iterator

import pytest

from broker import control_api as api
from broker.control_client import Client
from broker.errors import BrokerError
from tests.cli.newcomer import TRAIN, WORLD, newcomer, until
from tests.fakes.sts import FakeSts
from tests.faults.stage import ALICE, BOB, NOBODY, Broker, as_uid, everything, statuses

EMPTY = 4714
ANOTHER = pytest.mark.root
CALLERS = f"""
    [callers.me]
    ME
    grants = ["train", "mine", "closed"]

    [callers.alice]
    uid = {ALICE}
    grants = ["hers"]

    [callers.both]
    any = [{{ uid = {ALICE} }}, {{ uid = {BOB} }}]
    grants = ["train", "hers"]

    [callers.empty]
    uid = {EMPTY}
    grants = []

    [callers.batch]
    worker_token = true
    grants = ["train", "home"]

    [callers.none]
    worker_token = true
    grants = []

    [credentials.home]
    source = "aws-assume-role"
    role_arn = "{TRAIN}"
    session_name = "home-{{user}}"
    endpoint_url = "STS"
"""
NOT_GRANTED, UNKNOWN = "his", "nothing-of-this-name"
_ID = re.compile(rb"\b[0-9a-f]{16}\b")


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A daemon whose callers overlap, with one that is granted nothing."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        for folder in (user.folder, user.runtime):
            folder.chmod(0o755)
        with Broker(user, sts, CALLERS.replace("STS", sts.url)) as found:
            found.user.socket.parent.chmod(0o755)
            yield found


def on_the_wire(broker: Broker, head: bytes) -> bytes:
    """The whole reply, to the byte, but for its request id."""
    with broker.connect() as end:
        end.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        answer = everything(end)
    assert _ID.search(answer)
    return _ID.sub(b"0" * 16, answer)


def refused(broker: Broker, head: bytes) -> tuple[int, dict[str, object]]:
    """A refusal's status and its audit line, which comes at once where it is no repeat."""
    answer = broker.ask(head)
    found = _ID.search(answer.body)
    assert found is not None
    lines: list[dict[str, object]] = []

    def written() -> bool:
        lines[:] = [line for line in broker.audit("RequestDenied") if line["request_id"] == found[0].decode()]
        return bool(lines)

    until(written, 15)
    return answer.status, lines[0]


class TestFault30:
    """Names outside the grants, unknown names, callers that match two rules, empty grants."""

    @pytest.mark.parametrize("path", ["/aws/", "/token/", "/env/"])
    def test_not_granted_and_unknown_are_one_reply_to_the_byte(self, broker: Broker, path: str):
        """But for the request id, whoever asks: by uid, by token, with a grant or none, with a template that denies."""
        heads = [broker.attested(path + name) for name in ("hers", "home", UNKNOWN, "x", "n" * 300)]
        for token in (broker.token("batch"), broker.token("none")):
            heads += [broker.head(path + name, Authorization=token) for name in (NOT_GRANTED, UNKNOWN, "home")]
        replies = {on_the_wire(broker, head) for head in heads}

        assert len(replies) == 1
        assert statuses(replies.pop()) == [403]

    def test_neither_are_told_apart_over_the_control_socket(self, broker: Broker):
        """`get` asks there where it is no worker."""
        told = []
        for name in (NOT_GRANTED, UNKNOWN):
            with pytest.raises(BrokerError) as error:
                broker.client.lease(name)
            told.append((error.value.advice, error.value.code, error.value.exit_status))

        assert told[0] == told[1] == ("not granted", "AccessDenied", 4)

    def test_the_reason_stands_in_the_audit_line_only(self, broker: Broker):
        """With the caller, and with the credential if the configuration has it: never with text of the asker's."""
        token = broker.token("batch", uid=os.getuid())
        unbound = broker.token("batch")
        asked = {
            "not-granted": broker.head(f"/aws/{NOT_GRANTED}", Authorization=token),
            "unrenderable": broker.head("/aws/home", Authorization=unbound),
        }
        for reason, head in asked.items():
            status, line = refused(broker, head)
            assert (status, line["reason"], line["caller"]) == (403, reason, "batch")
            assert reason not in broker.ask(head).body.decode()
        _, line = refused(broker, broker.head(f"/env/{UNKNOWN}", Authorization=token))

        assert (line["reason"], line["caller"], line["credential"]) == ("not-granted", "batch", None)
        assert UNKNOWN not in broker.audit_file.read_text()

    @pytest.mark.parametrize(
        ("fields", "path", "expected"),
        [
            ({"Authorization": "attested"}, "/aws/his", (403, "not-granted", "me", "his")),
            ({"Authorization": "attested"}, "/env/closed", (403, "upstream-denied", "me", "closed")),
            ({"Authorization": "attested"}, "/nowhere/his", (404, "NotFound", "me", None)),
            ({"Authorization": "attested", "X_Forwarded_For": "1.2.3.4"}, "/aws/his", (403, "Forwarded", None, "his")),
            ({"Authorization": "attested", "Host": "rebound"}, "/token/his", (403, "ForeignHost", None, "his")),
            ({}, "/aws/mine", (401, "nothing-shown", None, "mine")),
            ({"Authorization": "Basic eDp5"}, "/env/mine", (401, "authorization-not-ours", None, "mine")),
            ({"Authorization": "cbw_" + "x" * 43}, "/aws/mine", (401, "token-unknown", None, "mine")),
        ],
        ids=lambda value: value[1] if isinstance(value, tuple) else None,
    )
    def test_every_kind_of_denial_names_the_caller_and_the_credential(
        self, broker: Broker, fields: dict[str, str], path: str, expected: tuple[object, ...]
    ):
        """The caller where it is known who asked; the credential where it was asked for by a name that there is."""
        shown = dict(fields)
        host = shown.pop("Host", None)
        status, line = refused(broker, broker.head(path, host=host, **shown))

        assert (status, line["reason"], line["caller"], line["credential"]) == expected
        assert line["uid"] == os.getuid()

    def test_a_path_token_where_it_may_not_be_names_its_caller(self, broker: Broker):
        """URLs end up in logs: somebody should hear of it."""
        token = broker.token("batch", purpose="path")
        status, line = refused(broker, broker.head(f"/w/{token}/aws/train"))

        assert (status, line["reason"], line["caller"]) == (401, "path-token-elsewhere", "batch")
        assert line["credential"] == "train"
        assert token not in broker.audit_file.read_text()

    @ANOTHER
    def test_a_token_that_another_uid_shows_is_named_by_its_id(self, broker: Broker):
        """So that it can be revoked; the reply is that of any bad token."""
        token = broker.token("batch", uid=ALICE)
        status, line = refused(broker, broker.head(Authorization=token))

        assert (status, line["reason"], line["caller"]) == (401, "token-of-another-uid", "batch")
        assert line["token_id"] in {one.id for one in broker.client.get("/tokens", list[api.Token])}
        assert on_the_wire(broker, broker.head(Authorization=token)) == on_the_wire(
            broker, broker.head(Authorization="cbw_" + "y" * 43)
        )

    @ANOTHER
    def test_who_matches_two_rules_has_the_grants_of_both_and_no_more(self, broker: Broker):
        """In file order: what both grant is the first one's."""

        def asked() -> list[int]:
            names = ("hers", "train", "his", UNKNOWN)
            return [broker.ask(broker.attested(f"/aws/{name}")).status for name in names]

        by_alice = as_uid(ALICE, asked)
        explained = [
            broker.client.post("/explain", api.ExplainOrder(caller=name, credential="hers", uid=ALICE), api.Explanation)
            for name in ("alice", "both")
        ]

        assert by_alice == [200, 200, 403, 403]
        assert as_uid(BOB, asked) == [200, 200, 403, 403]
        assert [(one.also, one.first) for one in explained] == [(("both",), None), (("alice",), "alice")]
        (line,) = [one for one in broker.audit("LeaseHanded") if one["uid"] == ALICE and one["credential"] == "hers"]
        assert (line["caller"], line["identity"].rpartition("/")[2]) == ("alice+both", "hers-alice")

    @ANOTHER
    @pytest.mark.parametrize(("uid", "status"), [(EMPTY, 403), (NOBODY, 401)])
    def test_without_a_grant_there_is_nothing(self, broker: Broker, uid: int, status: int):
        """By name or by kind, for a caller with an empty list and for who is none."""
        paths = ("/aws", "/aws/train", "/token", "/env/train", f"/aws/{UNKNOWN}")

        assert as_uid(uid, lambda: [broker.ask(broker.attested(path)).status for path in paths]) == [status] * 5


class TestFault30Explained:
    """What the reply does not say, `explain` says to who may know."""

    def test_by_its_request_id(self, broker: Broker):
        """The id stands in the body of the refusal."""
        body = json.loads(broker.ask(broker.attested(f"/aws/{NOT_GRANTED}")).body)
        request_id = body["message"].rpartition(" ")[2].rstrip(")")
        ran = broker.run("explain", "--request", request_id)

        assert ran.status == 0
        assert ran.out.startswith("403, not-granted: ")
        assert f"the rule: credbroker explain --caller me {NOT_GRANTED}" in ran.out

    @ANOTHER
    def test_others_are_told_of_their_own_denials_alone_and_not_what_there_is(self, broker: Broker):
        """Not even whether the name that they tried is one."""
        ours = broker.ask(broker.attested(f"/aws/{NOT_GRANTED}")).json["message"][-17:-1]

        def as_alice() -> list[object]:
            client = Client(str(broker.user.socket))
            found: list[object] = []
            for name in (NOT_GRANTED, UNKNOWN):
                own = broker.ask(broker.attested(f"/aws/{name}")).json["message"][-17:-1]
                row = client.get(f"/denials/{own}", api.DenialRow)
                found.append((row.reason, row.caller, row.credential, row.uid))
            try:
                client.get(f"/denials/{ours}", api.DenialRow)
            except BrokerError as error:
                found.append(error.code)
            return found

        row = ["not-granted", "alice+both", None, ALICE]
        assert as_uid(ALICE, as_alice) == [row, row, "NotFound"]
