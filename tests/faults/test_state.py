"""Fault 32, and 39's part: leases at rest survive `kill -9` at any moment, and tell nobody a secret."""

import contextlib
import json
import signal
from pathlib import Path

from tests.cli.newcomer import CREDBROKER, until
from tests.faults.keeping import KEY, Kept, down
from tests.keys import forget


class TestKilledAndStartedWithUpstreamAway:
    def test_it_serves_what_it_held_and_is_ready_before_upstream_is_asked(self, kept: Kept):
        """The promise: one of a caller, one chained, and without one call upstream."""
        given = kept.warm_up()
        kept.kill()
        kept.sts.script, before = down, len(kept.sts.calls)
        kept.start()

        assert kept.given() == given
        assert kept.client.get("/readyz", dict[str, object])["ready"]
        assert len(kept.sts.calls) == before
        assert len(kept.lines("leases taken over")) == 1
        assert "state on, 4 sealed in" in kept.run("status").out

    def test_under_the_kernels_keyring_too(self, kept: Kept):
        """Without any configuration of a key."""
        kept.key.unlink()
        kept.keep()
        try:
            given = kept.warm_up()
            kept.kill()
            kept.sts.script = down
            kept.start()
            assert kept.given() == given
            assert "under the kernel's keyring" in kept.run("status").out
            kept.kill()
            forget(kept.state)
            kept.start(warm=False)
            kept.given(503)
            assert len(kept.lines("sealed leases dropped")) == 1
        finally:
            forget(kept.state)

    def test_under_a_systemd_credential_too(self, kept: Kept):
        """As LoadCredentialEncrypted= gives it."""
        kept.key.rename(kept.user.folder / "state-key")
        kept.environment["CREDENTIALS_DIRECTORY"] = str(kept.user.folder)
        kept.keep()
        given = kept.warm_up()
        kept.kill()
        kept.sts.script = down
        kept.start()

        assert kept.given() == given
        assert "under the systemd credential state-key" in kept.run("status").out

    def test_a_refresh_comes_in_its_turn_and_once_upstream_is_back(self, kept: Kept):
        """What was taken over is a lease like any other."""
        kept.warm_up()
        kept.kill()
        kept.start()
        kept.refresh()
        assert '"serial": 2' in kept.user.log()

    def test_a_broker_of_exec_keeps_nothing(self, kept: Kept):
        """Nor does it take another daemon's."""
        ran = kept.user.shell([*CREDBROKER, "exec", "--", "true"])

        assert (ran.status, kept.files) == (0, {})


KILLER = """
import os, signal, sys
from broker import safefile
here = {step: getattr(safefile.os, step) for step in ("open", "fchmod", "fsync", "rename", "unlink")}
left = [int(os.environ["STRIKE"])]
def striking(step):
    def strike(*a, **k):
        if "state" in os.environ and any(part in repr(a) for part in (".lease", "/state")) or step == "fsync":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return here[step](*a, **k)
    return strike
for step in here:
    setattr(safefile.os, step, striking(step))
from broker.cli import main
sys.argv = ["credbroker", "serve"]
sys.exit(main())
"""


class TestFault32:
    """`kill -9` at every step of writing."""

    def test_after_it_the_old_or_the_new_whole_lease_is_served(self, kept: Kept):
        """Struck at each call that a write of a lease makes, one after the other, with a lease there before."""
        kept.warm_up()
        kept.kill()
        kept.command = [CREDBROKER[0], "-P", "-c", KILLER]
        struck = 0
        for strike in range(1, 40):
            kept.environment |= {"STRIKE": str(strike), "state": "1", "PYTHONPATH": str(Path.cwd())}
            with contextlib.suppress(AssertionError):  # it may be killed as it starts
                kept.start(warm=False)
                kept.run("refresh", "train")
                until(lambda: kept.ended, 1.0)
            ended = kept.ended
            assert kept.stop(signal.SIGKILL) == -signal.SIGKILL
            if not ended:
                break
            struck += 1
            self._next_start_serves(kept)
        assert struck > 8
        assert kept.lines("sealed leases dropped") == []

    def _next_start_serves(self, kept: Kept) -> None:
        command, kept.command, kept.sts.script = kept.command, [*CREDBROKER, "serve"], down
        kept.start()
        kept.given()
        kept.kill()
        assert kept.leftovers == []
        kept.command, kept.sts.script = command, None


class TestFault39:
    """The secrets hunt, in what is written."""

    def test_no_secret_is_anywhere_on_the_disk(self, kept: Kept):
        """Neither of a lease nor the key, in any file that the daemon wrote; in its log neither, at debug."""
        kept.keep('log_level = "debug"')
        given = kept.warm_up()
        kept.refresh()
        kept.run("status", "--json")
        kept.kill()
        for name in kept.files:
            (kept.state / name).write_bytes(b"credbroker sealed 1\n" + bytes(50))
        kept.start(warm=False)
        secrets = [json.loads(body)[field] for body in given.values() for field in ("SecretAccessKey", "Token")]
        hunted = [*(secret.encode() for secret in secrets), KEY, KEY.hex().encode()]
        for path in (*kept.user.runtime.rglob("*"), *kept.state.iterdir(), kept.user.folder / "log", kept.audit_file):
            if path.is_file():
                assert not any(secret in path.read_bytes() for secret in hunted), path
