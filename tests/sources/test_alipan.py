"""An Alipan account's refresh token, dispensed."""

from pathlib import Path

import pytest

from broker.errors import IdentityMissing
from broker.model import Facts, Given, Kind, Reference, Variables
from broker.secret import Secret
from broker.sources.alipan import Alipan, mint, who
from tests.fakes.alipan import FakeAlipan


@pytest.fixture
def token(tmp_path: Path) -> Reference:
    """Where a refresh token is."""
    (path := tmp_path / "token").write_text("refresh-1\n")
    path.chmod(0o600)
    return Reference(file=str(path))


class TestSpec:
    def test_a_type_without_a_password_is_a_mistake(self):
        """Clients would encrypt with an empty one."""
        ((field, _),) = Alipan(refresh_token=Reference(env="T"), encrypt_type="ChaCha20").mistakes()

        assert (field, Alipan.kind, Alipan.short_lived) == ("encrypt_type", Kind.ALIPAN, False)

    def test_a_password_alone_is_none(self):
        """It is enough to read."""
        assert Alipan(refresh_token=Reference(env="T"), encrypt_password=Reference(env="P")).mistakes() == ()

    def test_a_variable_cannot_be_kept_fresh(self):
        """There is nowhere to write to."""
        ((field, text),) = Alipan(refresh_token=Reference(env="T"), keep_fresh=True).mistakes()

        assert (field, "{ file = ... }" in text) == ("keep_fresh", True)

    @pytest.mark.parametrize(
        ("url", "mistakes"), [("http://pan.example", 1), ("http://127.0.0.1:1", 0), ("https://pan.example", 0)]
    )
    def test_the_token_goes_nowhere_in_the_clear(self, url: str, mistakes: int):
        """But to this machine."""
        spec = Alipan(refresh_token=Reference(file="/t"), keep_fresh=True, api_url=url)

        assert len(spec.mistakes()) == mistakes


class TestMint:
    def test_the_token_alone(self, token: Reference):
        """As streaming and alipcs_py read it."""
        assert mint(Alipan(refresh_token=token), Given()).value == Variables(
            (("ALIPAN_WEB_REFRESH_TOKEN", Secret("refresh-1")),)
        )

    @pytest.mark.parametrize("kind", ["AES256CBC", Reference(env="MY_TYPE")])
    def test_all_three(self, token: Reference, monkeypatch: pytest.MonkeyPatch, kind: object):
        """The type plainly or where it is read."""
        monkeypatch.setenv("MY_PASSWORD", "pass word")
        monkeypatch.setenv("MY_TYPE", "AES256CBC")
        spec = Alipan(
            refresh_token=token,
            encrypt_password=Reference(env="MY_PASSWORD"),
            encrypt_type=kind,  # type: ignore[arg-type]  # either
        )

        assert mint(spec, Given()).value == Variables(
            (
                ("ALIPAN_WEB_REFRESH_TOKEN", Secret("refresh-1")),
                ("ALIPAN_ENCRYPT_PASSWORD", Secret("pass word")),
                ("ALIPAN_ENCRYPT_TYPE", Secret("AES256CBC")),
            )
        )

    def test_an_unknown_type_is_named_and_not_quoted(self, token: Reference, monkeypatch: pytest.MonkeyPatch):
        """A secret may stand in the wrong place."""
        monkeypatch.setenv("MY_TYPE", "CANARY")
        spec = Alipan(refresh_token=token, encrypt_password=token, encrypt_type=Reference(env="MY_TYPE"))

        with pytest.raises(IdentityMissing, match="must hold one of Simple, ChaCha20, AES256CBC") as caught:
            mint(spec, Given())

        assert caught.value.advice.startswith("encrypt_type: the variable MY_TYPE")
        assert "CANARY" not in caught.value.advice

    def test_kept_fresh_it_is_what_the_file_holds_afterwards(self, token: Reference):
        """Written first, then handed out; looked at again as any other."""
        with FakeAlipan() as fake:
            fake.refresh_tokens.add("refresh-1")
            spec = Alipan(refresh_token=token, keep_fresh=True, api_url=fake.url, reread=60)
            minted = mint(spec, Given())
            assert mint(spec, Given()).value == minted.value
            assert fake.calls["/token/refresh"] == 1

        assert isinstance(minted.value, Variables)
        ((name, secret),) = minted.value.values
        assert (name, minted.again) == ("ALIPAN_WEB_REFRESH_TOKEN", 60)
        assert secret.open() in fake.refresh_tokens - {"refresh-1"}
        assert Path(token.file or "").read_text() == f"{secret.open()}\n"

    def test_without_that_nobody_is_asked(self, token: Reference):
        """As it was before."""
        with FakeAlipan() as fake:
            mint(Alipan(refresh_token=token, api_url=fake.url), Given())

        assert fake.calls == {}


class TestWho:
    def test_alipan_is_not_asked(self, token: Reference):
        """It would give another refresh token for the question."""
        spec = Alipan(refresh_token=token)

        assert who(spec, mint(spec, Given()).value) == Facts()
