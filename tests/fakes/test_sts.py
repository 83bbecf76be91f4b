"""The fake STS refuses what AWS refuses: asked by botocore, which knows nothing of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.fakes.sts import FakeSts
from tests.fakes.sts_world import Role, StsKey, World

TRAIN = "arn:aws:iam::123456789012:role/train"
NEXT = "arn:aws:iam::123456789012:role/team/next"
ALICE = ("AKIAFAKEALICE0000001", "alice/secret+key", None)


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch):
    """Neither its AWS profiles nor its proxies."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def sts() -> Iterator[FakeSts]:
    """The default world, and a role that trusts only the first one's sessions."""
    world = World()
    picky = Role(arn="arn:aws:iam::123456789012:role/picky", trusts=(TRAIN,), external_id="partner")
    with FakeSts(World(roles=(*world.roles, picky))) as fake:
        yield fake


def call(
    sts: FakeSts,
    operation: str,
    keys: tuple[str, str, str | None] = ALICE,
    region: str = "eu-west-1",
    **parameters: Any,
) -> dict[str, Any]:
    """One call by botocore, not repeated."""
    client = Session().create_client(
        "sts",
        region,
        endpoint_url=sts.url,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        aws_session_token=keys[2],
        config=Config(retries={"total_max_attempts": 1}),
    )
    answer: dict[str, Any] = getattr(client, operation)(**parameters)
    client.close()
    return answer


def assume(sts: FakeSts, role: str = TRAIN, keys: tuple[str, str, str | None] = ALICE, **more: Any) -> StsKey:
    """The session that assuming a role gives."""
    call(sts, "assume_role", keys, RoleArn=role, RoleSessionName="me", **more)
    return sts.registry.latest()


def held(key: StsKey) -> tuple[str, str, str]:
    return key.access_key_id, key.secret, key.session_token


def code(sts: FakeSts, operation: str, *keys: Any, **parameters: Any) -> str:
    """The code of a refusal."""
    with pytest.raises(ClientError) as refused:
        call(sts, operation, *keys, **parameters)
    return str(refused.value.response["Error"]["Code"])


class TestWho:
    def test_an_expired_session(self, sts: FakeSts):
        """Moto would let it in."""
        sts.rules.lifetime = 60
        key = assume(sts)
        sts.now = lambda: time.time() + 61

        assert code(sts, "get_caller_identity", held(key)) == "ExpiredToken"

    def test_a_revoked_key_and_a_strange_region(self, sts: FakeSts):
        """Both are InvalidClientTokenId at AWS."""
        key = assume(sts)
        sts.registry.revoke(key.access_key_id)

        assert code(sts, "get_caller_identity", held(key)) == "InvalidClientTokenId"
        assert code(sts, "get_caller_identity", ALICE, "ap-south-1") == "InvalidClientTokenId"

    def test_an_unsigned_call(self, sts: FakeSts):
        """Only AssumeRoleWithWebIdentity goes unsigned."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        request = Request(sts.url, b"Action=GetCallerIdentity&Version=2011-06-15", form)
        with pytest.raises(HTTPError) as refused:
            urlopen(request, timeout=5)
        with refused.value as reply:
            assert b"<Code>MissingAuthenticationToken</Code>" in reply.read()

    def test_a_clock_that_is_off(self, sts: FakeSts):
        """More than a quarter of an hour."""
        sts.now = lambda: time.time() + 1000

        assert code(sts, "get_caller_identity") == "SignatureDoesNotMatch"


class TestTrust:
    def test_only_the_trusted_and_only_with_the_external_id(self, sts: FakeSts):
        """The trust policy is the role's, not the caller's."""
        picky: dict[str, Any] = {"RoleArn": "arn:aws:iam::123456789012:role/picky", "RoleSessionName": "me"}
        train = held(assume(sts))

        assert code(sts, "assume_role", **picky, ExternalId="partner") == "AccessDenied"
        assert code(sts, "assume_role", train, **picky) == "AccessDenied"
        assert "Credentials" in call(sts, "assume_role", train, **picky, ExternalId="partner")

    def test_an_hour_at_most_from_a_role_session(self, sts: FakeSts):
        """But not from a user's session, of which AWS does not say so."""
        call(sts, "get_session_token")
        role: dict[str, Any] = {"RoleArn": TRAIN, "RoleSessionName": "me", "DurationSeconds": 7200}

        assert "Credentials" in call(sts, "assume_role", held(sts.registry.latest()), **role)
        assert code(sts, "assume_role", held(sts.registry.latest()), **role) == "ValidationError"

    def test_transitive_tags_and_the_source_identity_stay(self, sts: FakeSts):
        """Neither can be changed along a chain."""
        tags: dict[str, Any] = {"Tags": [{"Key": "team", "Value": "v"}], "TransitiveTagKeys": ["team"]}
        first = held(assume(sts, **tags, SourceIdentity="alice"))
        role: dict[str, Any] = {"RoleArn": NEXT, "RoleSessionName": "me"}

        assert code(sts, "assume_role", first, **role, Tags=[{"Key": "Team", "Value": "w"}]) == "InvalidParameterValue"
        assert code(sts, "assume_role", first, **role, SourceIdentity="bob") == "AccessDenied"
        assert call(sts, "assume_role", first, **role)["SourceIdentity"] == "alice"

    def test_sessions_get_no_sessions(self, sts: FakeSts):
        """These two calls take long-term keys."""
        first = held(assume(sts))

        assert code(sts, "get_session_token", first) == "AccessDenied"
        assert code(sts, "get_federation_token", first, Name="me") == "AccessDenied"

    def test_federated_users_ask_only_who_they_are(self, sts: FakeSts):
        """As AWS has it."""
        call(sts, "get_federation_token", Name="me")
        federated = held(sts.registry.latest())

        assert call(sts, "get_caller_identity", federated)["Arn"].endswith("federated-user/me")
        assert code(sts, "assume_role", federated, RoleArn=TRAIN, RoleSessionName="me") == "AccessDenied"


class TestLimits:
    @pytest.mark.parametrize(
        ("changed", "refusal"),
        [
            ({"DurationSeconds": 43_201}, "ValidationError"),
            ({"RoleSessionName": "two words"}, "ValidationError"),
            ({"Policy": '{"Version": "2012-10-17"}'}, "MalformedPolicyDocument"),
            ({"Policy": '{"Statement": []}' + " " * 2048}, "ValidationError"),
            ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/A"}] * 11}, "ValidationError"),
            ({"PolicyArns": [{"arn": "ReadOnlyAccess-by-name"}]}, "ValidationError"),
            ({"TransitiveTagKeys": ["none"]}, "InvalidParameterValue"),
            ({"Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]}, "InvalidParameterValue"),
            ({"SerialNumber": "arn:aws:iam::123456789012:mfa/alice", "TokenCode": "000000"}, "AccessDenied"),
        ],
    )
    def test_what_is_out_of_them_is_refused(self, sts: FakeSts, changed: dict[str, object], refusal: str):
        """With AWS's code, so that the sources are tested against it."""
        whole = {"RoleArn": TRAIN, "RoleSessionName": "me", **changed}

        assert code(sts, "assume_role", **whole) == refusal

    def test_an_mfa_code_is_good_once(self, sts: FakeSts):
        """A lease cannot be renewed with the code that began it."""
        device: dict[str, Any] = {"SerialNumber": "arn:aws:iam::123456789012:mfa/alice", "TokenCode": "123456"}
        call(sts, "get_session_token", **device)

        assert sts.registry.latest().mfa
        assert code(sts, "get_session_token", **device) == "AccessDenied"


class TestProcess:
    def test_it_says_where_it_is_and_ends_with_its_input(self):
        """Nothing is left over when a test dies."""
        command = [sys.executable, "-m", "tests.fakes.sts", "--lifetime", "90"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            said = json.loads(process.stdout.readline())
            key_id, secret = said["users"]["alice"]
            client = Session().create_client(
                "sts", "eu-west-1", endpoint_url=said["url"], aws_access_key_id=key_id, aws_secret_access_key=secret
            )
            expires = client.get_session_token()["Credentials"]["Expiration"].timestamp()  # type: ignore[attr-defined]  # botocore makes it
            client.close()
            process.communicate(timeout=10)

        assert expires - time.time() == pytest.approx(90, abs=5)
        assert process.returncode == 0
