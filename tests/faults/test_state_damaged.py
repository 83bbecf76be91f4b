"""Fault 34: sealed leases that are damaged, foreign, older, replayed, or of another boot or configuration."""

import shutil
import time
from pathlib import Path

import pytest

from broker.safefile import write_private
from tests.cli.newcomer import CREDBROKER, newcomer, until
from tests.faults.keeping import CHAIN, KEY, Kept, down


class TestFault34:
    """State that is truncated, flipped, foreign, older, replayed, or whose credential is gone."""

    @pytest.fixture
    def sealed(self, kept: Kept) -> Kept:
        """Killed, with four leases sealed."""
        kept.warm_up()
        kept.kill()
        return kept

    @pytest.mark.parametrize(
        ("harm", "reason"),
        [
            ("cut", "not-opened"),
            ("flipped", "not-opened"),
            ("empty", "other-version"),
            ("older", "other-version"),
            ("device", "UnsafePath"),
        ],
    )
    def test_a_damaged_one_is_dropped_alone(self, sealed: Kept, harm: str, reason: str):
        """One warning; the start goes on, and what is lost is minted anew."""
        path = next(path for path in sealed.state.iterdir() if b"mine" in path.read_bytes())
        data = path.read_bytes()
        flipped = data[:-5] + bytes([data[-5] ^ 4]) + data[-4:]
        older = data.replace(b"sealed 1", b"sealed 0", 1)
        if harm == "device":
            path.unlink()
            path.symlink_to("/dev/zero")
        else:
            path.write_bytes({"cut": data[: len(data) // 2], "flipped": flipped, "empty": b"", "older": older}[harm])
        sealed.start(warm=False)

        (line,) = sealed.lines("sealed leases dropped")
        assert '"count": 1' in line
        assert '"count": 3' in sealed.lines("leases taken over")[0]
        assert sealed.metric("sealed_leases_dropped_total", reason=reason) == 1
        sealed.given()
        until(lambda: len(sealed.files) == 4)

    def test_another_key_opens_none(self, sealed: Kept):
        """One warning for all of them."""
        sealed.key.write_bytes(KEY[::-1])
        sealed.start()

        (line,) = sealed.lines("sealed leases dropped")
        assert '"count": 4' in line
        assert "sealed with another key" in line
        sealed.given()

    def test_a_swap_of_two_opens_neither(self, sealed: Kept):
        """Nobody is given another's lease."""
        one, other = sorted(sealed.state.iterdir())[:2]
        one.rename(sealed.state / "x")
        other.rename(one)
        (sealed.state / "x").rename(other)
        sealed.start(warm=False)

        assert '"count": 2' in sealed.lines("leases taken over")[0]
        sealed.given()

    def test_an_older_one_put_back_is_not_served(self, kept: Kept):
        """Its number was seen before; nor is one that was let go."""
        kept.warm_up()
        old = kept.files
        first = kept.given()["train"]
        kept.refresh()
        until(lambda: kept.files != old)
        changed = [name for name, data in kept.files.items() if data != old[name]]
        time.sleep(0.2)  # its number is told right after it
        kept.kill()
        for name in changed:
            (kept.state / name).write_bytes(old[name])
        kept.start()

        (line,) = kept.lines("sealed leases dropped")
        assert "it is an older one, put back" in line
        assert kept.given()["train"] != first

    def test_of_a_changed_configuration_only_what_still_fits_is_served(self, sealed: Kept):
        """A credential that is gone, and one with another spec."""
        text = CHAIN.replace('session_name = "job-{uid}"', 'session_name = "other-{uid}"').replace('"mine", ', "")
        sealed.keep(callers=text)
        sealed.sts.script = down
        sealed.start()

        lines = sealed.lines("sealed leases dropped")
        assert {("mine" in line, "chained" in line) for line in lines} == {(True, False), (False, True)}
        assert [sealed.ask(sealed.attested(f"/aws/{name}")).status for name in ("train", "mine", "chained")] == [
            200,
            403,
            503,
        ]

    def test_a_copy_on_another_machine_is_nothing(self, sealed: Kept):
        """Neither key nor kernel are the same there."""
        with newcomer(sealed.sts) as user:
            other = Kept(user, sealed.sts)
            write_private(other.key, KEY[::-1])
            shutil.copytree(sealed.state, other.state)
            other.keep()
            other.start(warm=False)
            try:
                assert other.lines("leases taken over") == []
            finally:
                other.stop()

    def test_a_reload_removes_what_it_lets_go(self, sealed: Kept):
        """From the disk too."""
        sealed.start()
        sealed.given()
        sealed.keep(callers=CHAIN.replace('"mine", ', ""))
        assert sealed.run("reload").status == 0
        until(lambda: len(sealed.files) == 3)


OTHER_BOOT = """
import os, sys
from broker import clock
clock.boot = lambda: os.environ["BOOT"]
clock.synchronised = lambda: os.environ["SYNCHRONISED"] == "yes"
from broker.cli import main
sys.argv = ["credbroker", "serve"]
sys.exit(main())
"""


class TestFault34AtAnotherBoot:
    """Only the wall clock is left then, and the kernel's word on it."""

    @pytest.mark.parametrize(
        ("boot", "synchronised", "status"), [("another", "yes", 200), ("another", "no", 503), ("", "no", 200)]
    )
    def test_a_lease_is_served_if_the_clock_can_be_believed(
        self, kept: Kept, boot: str, synchronised: str, status: int
    ):
        """A sandbox that hides the name of the boot is not another one."""
        kept.command = [CREDBROKER[0], "-P", "-c", OTHER_BOOT]
        kept.environment |= {"PYTHONPATH": str(Path.cwd()), "BOOT": "" if not boot else "first", "SYNCHRONISED": "no"}
        kept.warm_up()
        kept.kill()
        kept.sts.script = down
        kept.environment |= {"BOOT": boot, "SYNCHRONISED": synchronised}
        kept.start(warm=False)

        kept.given(status)
        assert len(kept.files) == 4  # another start may believe them
        assert len(kept.lines("its clock may be wrong")) == (status == 503)
