"""A refresh token that is exchanged in its file, by a strict fake of Alipan whose tokens may end by their use."""

import errno
import os
import stat
import threading

import pytest

from broker import clock
from broker.errors import IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.sources.alipan_refresh import OFTEN
from tests.fakes.serving import Answer, Served
from tests.sources.alipan_world import Kept

NOW = 1_800_000_000.0


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as it is to be."""
    times = [NOW]
    monkeypatch.setattr(clock, "wall", lambda: times[0])
    return times


class TestRefresh:
    def test_the_file_holds_the_new_token_and_is_private(self, kept: Kept):
        """And nothing else is left but the record, which has no token in it."""
        kept.refresh()

        assert kept.token != "first"
        assert kept.token in kept.fake.refresh_tokens
        assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
        assert sorted(path.name for path in kept.path.parent.iterdir()) == ["token", "token.refreshed"]
        assert stat.S_IMODE(kept.record.stat().st_mode) == 0o600
        assert kept.token not in kept.record.read_text()

    def test_alipan_is_asked_at_half_of_what_it_states_and_not_before(self, kept: Kept, wall: list[float]):
        """Two hours, of the access token; it states nothing of the other."""
        kept.refresh()
        wall[0] += 3599
        kept.refresh()
        assert kept.asked == 1

        wall[0] += 2
        kept.refresh()

        assert kept.asked == 2

    def test_it_is_never_asked_more_often_than_every_ten_minutes(self, kept: Kept, wall: list[float]):
        """Whatever it states."""
        kept.fake._lifetime = 1
        kept.refresh()
        wall[0] += OFTEN - 1
        kept.refresh()

        assert kept.asked == 1

    def test_a_clock_that_was_put_back_makes_no_token_young_for_ever(self, kept: Kept, wall: list[float]):
        """A record of the future is none."""
        kept.refresh()
        wall[0] -= 86_400
        kept.refresh()

        assert kept.asked == 2

    def test_what_its_owner_puts_there_is_exchanged_at_once(self, kept: Kept):
        """Which shows whether it is good, too."""
        kept.refresh()
        kept.write("second")
        kept.fake.refresh_tokens.add("second")
        kept.refresh()

        assert kept.asked == 2
        assert kept.token not in {"first", "second"}

    def test_what_its_owner_puts_there_meanwhile_stays(self, kept: Kept):
        """While Alipan answers; it is exchanged next."""
        kept.fake.refresh_tokens.add("second")
        kept.fake.steps = lambda step: kept.write("second") if step == "after" else None
        kept.refresh()
        assert kept.token == "second"

        kept.fake.steps = lambda _: None
        kept.refresh()

        assert kept.token not in {"first", "second"}

    @pytest.mark.parametrize("text", ["", "{", "{}", "null", '{"digest":"x","since":1,"every":"y"}', "x" * 5000])
    def test_a_record_that_makes_no_sense_says_nothing(self, kept: Kept, text: str):
        """Alipan is asked once more, and the record is whole again."""
        kept.refresh()
        kept.record.write_text(text)
        kept.refresh()
        kept.refresh()

        assert kept.asked == 2

    def test_many_at_once_ask_once(self, kept: Kept):
        """Each in its turn; who comes later finds it young."""
        failed: list[BaseException] = []

        def one() -> None:
            try:
                kept.refresh()
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test tells it
                failed.append(error)

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failed == []
        assert kept.asked == 1
        assert kept.token in kept.fake.refresh_tokens


class TestRefused:
    def test_a_token_that_alipan_refuses_is_the_owners_business(self, kept: Kept):
        """It stays in the file, and is named by its place alone."""
        kept.fake.refresh_tokens.clear()

        with pytest.raises(IdentityMissing, match="log in there again") as caught:
            kept.refresh()

        assert caught.value.code == "RefreshTokenRefused"
        assert str(kept.path) in caught.value.advice
        assert "first" not in caught.value.advice
        assert kept.token == "first"

    @pytest.mark.parametrize(
        ("answer", "error", "code"),
        [
            (Answer(400, b'{"code":"RefreshTokenExpired"}'), IdentityMissing, "RefreshTokenRefused"),
            (Answer(200, b'{"code":"InvalidParameter.RefreshToken"}'), IdentityMissing, "RefreshTokenRefused"),
            (Answer(200, b'{"code":"ParamFlowException"}'), Throttled, "ParamFlowException"),
            (Answer(400, b'{"code":"InvalidParameter.ClientId","message":"CANARY"}'), Malformed, "UnusableAnswer"),
            (Answer(404, b"404 page not found"), Malformed, "UnusableAnswer"),
            (Answer(200, b"<html>"), Malformed, "UnusableAnswer"),
            (Answer(200, b"{}"), Malformed, "UnusableAnswer"),
            (Answer(200, b'{"refresh_token":null}'), Malformed, "UnusableAnswer"),
            (Answer(200, b'{"refresh_token":"two\\nlines"}'), Malformed, "UnusableAnswer"),
            (Answer(200, b'{"refresh_token":"new","expires_in":-1}'), Malformed, "UnusableAnswer"),
            (Answer(400, b'{"refresh_token":"new"}'), Malformed, "UnusableAnswer"),
            (Answer(429), Throttled, "Http429"),
            (Answer(503), Unreachable, "Http503"),
        ],
    )
    def test_anything_else_than_a_token_leaves_the_file_alone(
        self, kept: Kept, answer: Answer, error: type[MintError], code: str
    ):
        """And none of its words is repeated."""
        with Served(lambda _: answer) as served, pytest.raises(error) as caught:
            kept.refresh(served.url)

        assert caught.value.code == code
        assert "CANARY" not in caught.value.advice
        assert kept.token == "first"
        kept.refresh()  # nobody remembers it
        assert kept.token != "first"

    @pytest.mark.parametrize("fault", ["a link", "a second name", "a folder for all"])
    def test_alipan_is_not_asked_for_what_cannot_be_kept(self, kept: Kept, fault: str):
        """The new token would be lost."""
        folder = kept.path.parent
        match fault:
            case "a link":
                kept.path.rename(folder / "other")
                kept.path.symlink_to(folder / "other")
            case "a second name":
                (folder / "other").hardlink_to(kept.path)
            case _:
                folder.chmod(0o777)

        with pytest.raises(IdentityMissing, match="`keep_fresh` needs a file of this user") as caught:
            kept.refresh()

        folder.chmod(0o700)
        assert (caught.value.code, kept.asked, kept.token) == ("ReferenceUnwritable", 0, "first")

    def test_a_folder_that_cannot_be_written_is_told(self, kept: Kept):
        """Here because something else has the record's name."""
        kept.record.mkdir()

        with pytest.raises(IdentityMissing, match=r"cannot make .*token.refreshed") as caught:
            kept.refresh()

        assert (caught.value.code, kept.asked) == ("ReferenceUnwritable", 0)

    def test_whoever_cannot_read_it_leaves_nothing_behind(self, kept: Kept):
        """A record of root's, say, would lock out the user that mints."""
        kept.path.chmod(0o666)

        with pytest.raises(IdentityMissing):
            kept.refresh()

        assert not kept.record.exists()

    @pytest.mark.parametrize("fault", ["a second name", "for others", "a pipe", "a link"])
    def test_a_record_that_somebody_else_may_have_prepared_is_not_touched(self, kept: Kept, fault: str):
        """In a folder for all, such as /tmp, it might be another file of ours by its second name."""
        victim = kept.path.parent / "victim"
        victim.write_text("precious")
        victim.chmod(0o600)
        match fault:
            case "a second name":
                kept.record.hardlink_to(victim)
            case "for others":
                kept.record.touch(0o666)
                kept.record.chmod(0o666)
            case "a pipe":
                os.mkfifo(kept.record, 0o600)
            case _:
                kept.record.symlink_to(victim)

        with pytest.raises(IdentityMissing, match=r"token\.refreshed") as caught:
            kept.refresh()

        assert (caught.value.code, kept.asked, victim.read_text()) == ("ReferenceUnwritable", 0, "precious")

    def test_a_disk_that_has_no_room_for_the_record_costs_no_mint(self, kept: Kept, monkeypatch: pytest.MonkeyPatch):
        """The token is there; it is refreshed once more, next time."""

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            kept.refresh()
        assert kept.token != "first"
        kept.refresh()

        assert kept.asked == 2
