"""User-delegation signatures, verified by a strict fake storage account."""

import sys
from collections.abc import Iterator

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AccessToken, AzureToken, Given, Kind, Minted, Value, Variables
from broker.secret import Secret
from broker.sources import azure
from broker.sources.azure_sas import KEY, SOURCES, TOKEN, WEEK, Sas, mint, who
from tests.fakes.blob_account import ACCOUNT, FakeAccount
from tests.fakes.certificates import Certificate
from tests.fakes.serving import Answer
from tests.sources.entra_world import EntraWorld
from tests.sources.refusals import refusal


@pytest.fixture
def account(entra_world: EntraWorld, loopback: Certificate) -> Iterator[FakeAccount]:
    """One whose keys the app may have."""
    with FakeAccount(entra_world.entra, loopback.context()) as fake:
        fake.delegators.add(entra_world.app.client_id)
        fake.blobs["data"] = ["a/b.bin", "c.bin"]
        yield fake


@pytest.fixture
def base(entra_world: EntraWorld) -> Value:
    """The held lease of the credential that `from` names."""
    return azure.mint(entra_world.by_secret(), Given()).value


def spec(account: FakeAccount, **more: object) -> Sas:
    keys = {"account": ACCOUNT, "container": "data", "endpoint_url": account.url, **more}
    return Sas(**keys)  # type: ignore[arg-type]  # keys of a spec, as a file gives them


def minted(one: Sas, base: Value | None) -> Minted:
    return mint(one, Given(base=base))


def failed(one: Sas, base: Value | None) -> MintError:
    return refusal(lambda: who(one, minted(one, base).value))


class TestSpec:
    @pytest.mark.parametrize(
        ("more", "fields"),
        [
            ({}, ()),
            ({"permissions": "racwdl", "prefix": "a/b"}, ()),
            ({"permissions": "rr"}, ("permissions",)),
            ({"endpoint_url": "http://mydata.example"}, ("endpoint_url",)),
        ],
    )
    def test_what_is_wrong_is_told_when_the_file_is_read(self, more: dict[str, str], fields: tuple[str, ...]):
        """A token would go to the endpoint in the clear."""
        keys = {"account": ACCOUNT, "container": "data", **more}

        assert tuple(field for field, _ in Sas(**keys).mistakes()) == fields  # type: ignore[arg-type]  # likewise

    def test_the_accounts_name_travels_with_it(self):
        """Under the names that clients look for."""
        one = Sas(account=ACCOUNT, container="data")

        assert dict(one.settings())["AZURE_ACCOUNT_NAME"] == ACCOUNT
        assert one.endpoint == f"https://{ACCOUNT}.blob.core.windows.net"

    def test_it_is_minted_from_a_token(self):
        """The configuration refuses any other base."""
        assert SOURCES[0].base is Kind.AZURE


class TestMint:
    @pytest.mark.parametrize("prefix", [None, "a/b"])
    def test_the_account_takes_the_signature(self, account: FakeAccount, base: Value, prefix: str | None):
        """For the container, or a folder alone; `check` has listed it."""
        one = spec(account, prefix=prefix)

        found = minted(one, base)

        assert isinstance(found.value, Variables)
        variables = dict(found.value.values)
        assert set(variables) == {TOKEN, KEY}
        assert variables[TOKEN] == variables[KEY]
        assert ("&sr=d&sdd=2&" if prefix else "&sr=c&") in variables[TOKEN].open()
        assert 3590 < found.lifetime <= 3600
        assert who(one, found.value) == found.facts
        assert found.facts.principal == "/".join(filter(None, (ACCOUNT, "data", prefix))) + " (rl)"

    def test_a_folders_signature_opens_no_other(self, account: FakeAccount, base: Value):
        """It was signed for that path."""
        found = minted(spec(account, prefix="a"), base)

        with pytest.raises(Denied):
            who(spec(account, prefix="c"), found.value)

    def test_a_week_is_the_longest(self, account: FakeAccount, base: Value):
        """The key's own span may not be longer, however far our clocks are apart."""
        assert minted(spec(account, ttl=WEEK), base).lifetime > WEEK - 10

    def test_it_ends_by_the_accounts_clock(self, account: FakeAccount, base: Value):
        """A clock here that is behind shortens it, and that is known."""
        account.ahead = 120.0

        found = minted(spec(account), base)

        assert 3470 < found.lifetime <= 3480

    def test_without_the_right_to_list_nothing_is_asked(self, account: FakeAccount, base: Value):
        """Nor could be."""
        one = spec(account, permissions="r")
        found = minted(one, base)
        account.fault = Answer(500)

        assert who(one, found.value).principal == f"{ACCOUNT}/data (r)"


class TestRefusals:
    def test_an_identity_that_may_not_delegate(self, account: FakeAccount, base: Value):
        """The role is named."""
        account.delegators.clear()

        error = failed(spec(account), base)

        assert (type(error), error.code) == (Denied, "AuthorizationPermissionMismatch")
        assert "Storage Blob Delegator" in error.advice
        assert "Words of Azure's" not in error.advice

    def test_a_container_that_is_not_there(self, account: FakeAccount, base: Value):
        """The key would be given all the same: `check` looks."""
        error = failed(spec(account, container="nowhere"), base)

        assert (type(error), error.code) == (Denied, "ContainerNotFound")

    @pytest.mark.parametrize(
        ("base", "code"),
        [
            (None, "WrongBase"),
            (AccessToken(Secret("ya29")), "WrongBase"),
            (AzureToken(Secret("expired"), "https://storage.azure.com"), "AccessRefused"),
        ],
    )
    def test_a_base_that_is_none(self, account: FakeAccount, base: Value | None, code: str):
        """Final: a token for another resource, say."""
        error = failed(spec(account), base)

        assert (type(error), error.code) == (Denied, code)

    @pytest.mark.parametrize("ahead", [-3600.0, 7200.0])
    def test_a_clock_that_is_far_off(self, account: FakeAccount, base: Value, ahead: float):
        """Azure would not take the key's times, nor the signature."""
        account.ahead = ahead

        error = failed(spec(account), base)

        assert (type(error), error.code) == (IdentityMissing, "ClockSkewed")

    @pytest.mark.parametrize(
        ("fault", "kind", "code"),
        [
            (Answer(503, b"<Code>ServerBusy</Code>", {"Retry-After": "7"}), Unreachable, "Http503"),
            (Answer(429, b""), Throttled, "Http429"),
            (Answer(404, b"nginx"), Malformed, "UnusableAnswer"),
            (Answer(200, b"<html>"), Malformed, "UnusableAnswer"),
            (Answer(200, b""), Malformed, "UnusableAnswer"),
            (Answer(302, b"", {"Location": "/"}), Malformed, "Redirected"),
        ],
    )
    def test_whatever_comes_is_an_error_of_ours(
        self, account: FakeAccount, base: Value, fault: Answer, kind: type[MintError], code: str
    ):
        """One attempt: the broker owns retries."""
        account.fault = fault

        error = failed(spec(account), base)

        assert (type(error), error.code) == (kind, code)

    def test_nobody_there(self, account: FakeAccount, base: Value):
        """Such as an account that does not exist: it has no address."""
        error = failed(spec(account, endpoint_url="https://127.0.0.1:9"), base)

        assert (type(error), error.code) == (Unreachable, "ConnectionFailed")

    def test_a_library_that_is_not_installed_is_named(
        self, account: FakeAccount, base: Value, monkeypatch: pytest.MonkeyPatch
    ):
        """azure-identity alone is not enough."""
        monkeypatch.setitem(sys.modules, "azure.storage.blob", None)

        with pytest.raises(Denied, match=r"install 'credbroker\[azure\]'"):
            minted(spec(account), base)
