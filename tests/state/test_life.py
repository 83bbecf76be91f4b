"""What life a sealed lease has left: never more than it has, by whichever clock can be believed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import clock
from broker.state import life
from broker.state.sealed import Unbelieved
from tests.leaping import EPOCH, START
from tests.state.entries import HOUR, a_content, a_label, a_moment

REBOOTED = {"now": 60.0, "boot": "two"}


def refused(code: str, later: float = 0.0, **more: object) -> None:
    with pytest.raises(Unbelieved) as caught:
        life.revived(a_label(), a_content(), a_moment(later, **more))
    assert caught.value.code == code


class TestWithinOneBoot:
    def test_it_lives_as_long_as_it_would_have(self):
        """On the same clock, so nothing of it changes."""
        lease = life.revived(a_label(), a_content(), a_moment(600))

        assert (lease.began, lease.ends, lease.expires_at) == (START, START + HOUR, EPOCH + HOUR)

    def test_a_wall_clock_that_was_set_back_gives_it_no_more(self):
        """The boot clock has not moved."""
        lease = life.revived(a_label(), a_content(), a_moment(600, wall=EPOCH - 86_400))

        assert lease.ends == START + HOUR

    def test_where_the_wall_clock_says_expired_it_is_held_back(self):
        """A clock that was set forward, or a machine that slept beside its boot clock: nobody knows which."""
        refused(life.UNSURE, 600, wall=EPOCH + 86_400)

    def test_a_wall_clock_that_was_set_forward_a_little_shortens_it(self):
        """In doubt the sooner end."""
        lease = life.revived(a_label(), a_content(), a_moment(600, wall=EPOCH + 1200))

        assert lease.ends == START + HOUR - 600

    def test_another_boot_clock_is_not_believed(self):
        """A container with a boot clock of its own has its host's boot id."""
        refused(life.UNSURE, 600, now=100.0)

    def test_a_boot_without_a_name_is_known_by_its_beginning(self):
        """A sandbox hides the name: our own unit's does."""
        moment = a_moment(600, boot="", host="", synchronised=False)
        assert life.revived(a_label(), a_content(), moment).ends == START + HOUR
        assert life.revived(a_label(boot=""), a_content(), a_moment(600)).ends == START + HOUR

        refused("other-host", 600, boot="", host="", wall=EPOCH + 606)
        refused(life.UNSURE, 600, boot="", wall=EPOCH + 594, synchronised=False)

    @pytest.mark.parametrize("later", [HOUR - 30, HOUR, HOUR * 10])
    def test_its_last_30_seconds_are_nobodys(self, later: float):
        """As ever."""
        refused(life.EXPIRED, later)


class TestAfterAReboot:
    def test_the_wall_clock_tells(self):
        """A boot clock that begins anew; the refresh stays where it was in its life."""
        lease = life.revived(a_label(), a_content(), a_moment(600, **REBOOTED))

        assert (lease.began, lease.ends) == (60.0 - 600, 60.0 + HOUR - 600)

    def test_a_clock_that_nobody_vouches_for_is_not_believed(self):
        """A board without a clock of its own goes on where it was switched off."""
        refused(life.UNSURE, 600, **REBOOTED, synchronised=False)

    def test_a_clock_before_the_sealing_is_not_believed(self):
        """1970, or a clock that was set back."""
        refused(life.UNSURE, -1, **REBOOTED)

    def test_upstreams_own_word_counts_where_it_is_sooner(self):
        """Our clock may have been corrected meanwhile."""
        content = a_content()
        slow = type(content)(content.lease, EPOCH, EPOCH + HOUR + 300)

        assert life.revived(a_label(), slow, a_moment(600, **REBOOTED)).ends == 60.0 + HOUR - 600

    @pytest.mark.parametrize("host", ["there", ""])
    def test_a_lease_of_another_machine_is_not_ours(self, host: str):
        """Although the key is, in a golden image."""
        refused("other-host", 600, **REBOOTED, host=host)

    def test_an_expired_one_is_dead(self):
        """However the clocks stand."""
        refused(life.EXPIRED, HOUR - 30, **REBOOTED)


class TestNever:
    @given(
        later=st.floats(0, 3 * HOUR),
        stepped=st.floats(-2 * HOUR, 2 * HOUR),
        same=st.booleans(),
        synchronised=st.booleans(),
    )
    def test_more_than_it_has(self, later: float, stepped: float, same: bool, synchronised: bool):
        """However the clock was set; where the kernel vouches for it, it is right."""
        wall = EPOCH + later + (0.0 if synchronised else stepped)
        moment = a_moment(later, wall=wall, boot="one" if same else "two", synchronised=synchronised)
        try:
            lease = life.revived(a_label(), a_content(), moment)
        except Unbelieved:
            return
        assert lease.ends - moment.now <= HOUR - later + 1e-3
        assert lease.ends - moment.now > 30


class TestHere:
    def test_it_is_this_machine_now(self):
        """The names of the boot and of the machine, which is not said."""
        here = life.here(1.0, 2.0)

        assert (here.now, here.wall, here.boot) == (1.0, 2.0, clock.boot())
        assert here.host == life.host() != Path("/etc/machine-id").read_text().strip()

    @pytest.mark.parametrize("content", [None, b"", b"\n"])
    def test_a_machine_without_a_name_has_none(
        self, content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """As in many containers."""
        if content is not None:
            (tmp_path / "id").write_bytes(content)
        monkeypatch.setattr("broker.state.life.Path", lambda _: tmp_path / "id")

        assert life.host() == ""
