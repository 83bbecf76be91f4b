"""From what a daemon grants to an environment: which credentials count, which settings stay, what is asked for."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
import pytest

from broker import control_api as api
from broker.cli import worker
from broker.cli.worker import (
    Fetched,
    Firsts,
    Making,
    ask_mfa_code,
    environment,
    firsts,
    mint,
    own_settings,
    program,
    told_of,
)
from broker.errors import BrokerError, IdentityMissing
from broker.model import Kind
from broker.secret import Secret
from broker.worker_env import applied, contents

TRAIN = api.Granted(name="train", kind="aws", first=True, region="eu-west-1")
OTHER = api.Granted(name="other", kind="aws", first=False, region="us-east-1")
DATA = api.Granted(name="data", kind="gcp", first=True, project="my-project")
BLOB = api.Granted(name="blob", kind="azure", first=True)
VAULT = api.Granted(name="vault", kind="azure", first=False)
LAKE = api.Granted(name="lake", kind="databricks", first=True, settings=(("DATABRICKS_HOST", "https://dbc-1.example"),))
WORKER = api.Worker(
    caller="me", host="127.0.0.1", port=9911, header_token="cbw_x", path_token="cbp_y", granted=(TRAIN, OTHER, DATA)
)


class Daemon:
    """A daemon that answers a refresh with these errors in turn, then with a lease; it remembers what it was asked."""

    def __init__(self, *codes: str) -> None:
        self.asked: list[api.RefreshOrder] = []
        self._codes = iter(codes)

    def refresh(self, _: str, order: api.RefreshOrder) -> list[api.LeaseRow]:
        """As `Client.refresh`."""
        self.asked.append(order)
        code = next(self._codes, None)
        if code is not None:
            raise BrokerError("upstream said no", code=code)
        return []


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Somebody who types these codes."""

    def types(*codes: str) -> None:
        rest = iter(codes)
        monkeypatch.setattr(worker, "ask_mfa_code", lambda _: next(rest))

    return types


class TestMaking:
    def test_lists_are_read_as_people_type_them(self):
        """With or without spaces."""
        making = Making.from_options(use="a, b,,c", without="gcp", caller=None)

        assert (making.use, making.without) == (("a", "b", "c"), frozenset({Kind.GOOGLE}))

    def test_a_cloud_that_is_none_is_wrong_usage(self):
        """With those that are."""
        with pytest.raises(
            click.BadParameter,
            match="'moon' is not a cloud: aws, gcp, gcs-hmac, azure, azure-sas, databricks, oci, alipan, env",
        ):
            Making.from_options(use=None, without="moon")


class TestFirsts:
    def test_each_cloud_has_one(self):
        """What SDKs get that cannot name another."""
        assert firsts(WORKER, Making()) == Firsts(TRAIN, DATA)

    def test_a_cloud_that_is_left_alone_has_none(self):
        """The machine's own role takes over there."""
        assert firsts(WORKER, Making(without=frozenset({Kind.AWS}))) == Firsts(None, DATA)

    def test_clouds_of_their_own_protocols_have_one_each(self):
        """And no more: a second one is asked for by its name."""
        worker = msgspec.structs.replace(WORKER, granted=(BLOB, VAULT, LAKE))

        assert firsts(worker, Making()) == Firsts(None, None, azure=BLOB, databricks=LAKE)
        assert firsts(worker, Making(without=frozenset({Kind.AZURE}))) == Firsts(None, None, databricks=LAKE)


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws/config").write_text(
            "[default]\nregion = eu-west-1\nendpoint_url = http://default\naws_access_key_id = AKIA\n"
            "[profile prod]\nendpoint_url = http://prod\n"
        )

    def test_azure_and_databricks_are_found_there(self):
        """The workspace travels with its credential."""
        worker = msgspec.structs.replace(WORKER, granted=(BLOB, LAKE))
        variables = applied(environment(worker, Making(), "/run/x", Fetched(), kept_fresh=True), {})

        assert variables["IDENTITY_ENDPOINT"] == "http://127.0.0.1:9911/azure/token"
        assert variables["DATABRICKS_METADATA_SERVICE_URL"] == "http://127.0.0.1:9911/w/cbp_y/databricks/lake"
        assert variables["DATABRICKS_HOST"] == "https://dbc-1.example"

    def test_it_is_made_of_what_is_granted(self):
        """The first of each cloud, and a profile for each AWS credential."""
        made = environment(WORKER, Making(), "/run/x", Fetched(Secret("ya29")), kept_fresh=True)
        variables, files = applied(made, {}), dict(contents(made))

        assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:9911/aws/train"
        assert variables["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"] == "/run/x/google-token"
        assert b"[profile other]" in files["/run/x/aws-config"]

    def test_nobody_keeps_a_file_fresh_where_env_made_it(self):
        """The variable has the token of now."""
        made = applied(environment(WORKER, Making(), "/run/x", Fetched(Secret("ya29")), kept_fresh=False), {})

        assert ("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE" in made, made["CLOUDSDK_AUTH_ACCESS_TOKEN"]) == (False, "ya29")

    def test_the_users_settings_stay_and_his_keys_do_not(self):
        """Of the profile that he is in."""
        assert (own_settings(None).value("endpoint_url"), own_settings(None).value("aws_access_key_id")) == (
            "http://default",
            None,
        )

    def test_the_profile_that_the_credential_is_minted_from_counts(self, monkeypatch: pytest.MonkeyPatch):
        """Before the one in the environment."""
        assert own_settings("prod").value("endpoint_url") == "http://prod"
        monkeypatch.setenv("AWS_PROFILE", "prod")
        assert own_settings(None).value("endpoint_url") == "http://prod"

    def test_without_a_file_there_are_none(self, monkeypatch: pytest.MonkeyPatch):
        """As in a container."""
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

        assert own_settings(None).values == ()


class TestMint:
    def test_no_code_is_asked_for_where_none_is_needed(self, typing: Callable[..., None]):
        """The first try goes without."""
        typing()
        mint(daemon := Daemon(), "train", ("me",))  # type: ignore[arg-type]  # as a Client is used

        assert daemon.asked == [api.RefreshOrder(callers=("me",))]

    def test_a_code_is_asked_for_until_it_is_good(
        self, typing: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ):
        """Each refusal is told."""
        typing("1", "2")
        mint(daemon := Daemon("MfaRequired", "MfaRefused"), "train")  # type: ignore[arg-type]  # likewise

        assert [order.mfa_code for order in daemon.asked] == [None, "1", "2"]
        assert capsys.readouterr().err == "credbroker: train: upstream said no\n"

    def test_a_chain_may_need_two(self, typing: Callable[..., None], capsys: pytest.CaptureFixture[str]):
        """One for its base and one for itself."""
        typing("1", "2")
        mint(Daemon("MfaRequired", "MfaRequired"), "train")  # type: ignore[arg-type]  # likewise

        assert capsys.readouterr().err == "credbroker: train: one more code is needed\n"

    def test_three_are_enough(self, typing: Callable[..., None]):
        """Whoever has none would be asked for ever."""
        typing("1", "2", "3")
        with pytest.raises(BrokerError, match="upstream said no"):
            mint(Daemon("MfaRequired", *["MfaRefused"] * 9), "train")  # type: ignore[arg-type]  # likewise

    def test_what_is_no_matter_of_codes_is_not_tried_again(self, typing: Callable[..., None]):
        """The user can do nothing about it at the keyboard."""
        typing()
        with pytest.raises(BrokerError, match="upstream said no"):
            mint(Daemon("AccessDenied"), "train")  # type: ignore[arg-type]  # likewise


class TestAsking:
    def test_without_a_terminal_it_says_so(self, monkeypatch: pytest.MonkeyPatch):
        """A batch job has none; nothing is read from its standard input."""

        def no_terminal(*_: object) -> int:
            raise OSError(6, "No such device or address")

        monkeypatch.setattr(os, "open", no_terminal)
        with pytest.raises(IdentityMissing, match="there is no terminal to ask at") as failure:
            ask_mfa_code("train")

        assert failure.value.code == "MfaRequired"


class TestWords:
    @pytest.mark.parametrize(
        ("advice", "told"),
        [
            ("it has expired", "train: it has expired"),
            ("train: gone", "train: gone"),
            ("train needs a code", "train needs a code"),
        ],
    )
    def test_an_error_names_its_credential_once(self, advice: str, told: str):
        """Whatever minted it did not know the name."""
        assert told_of("train", BrokerError(advice)).advice == told

    def test_the_command_starts_itself_by_an_absolute_path(self):
        """A worker has another PATH, and its own folder must not be imported from."""
        assert program() == (sys.executable, "-P", "-m", "broker.cli")
