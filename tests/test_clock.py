"""The two clocks."""

import subprocess
import sys
import time

from broker import clock


class TestNow:
    def test_it_never_goes_back(self):
        """Lifetimes are counted on it."""
        moments = [clock.now() for _ in range(100)]

        assert moments == sorted(moments)

    def test_it_counts_from_boot_suspends_included(self):
        """CLOCK_MONOTONIC would keep a lease alive through a night with the lid closed."""
        assert abs(clock.now() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1

    def test_it_is_the_same_in_every_process(self):
        """Daemon and minter could compare notes."""
        before = clock.now()
        code = "from broker import clock; print(clock.now())"
        other = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

        assert before <= other <= clock.now()


class TestWall:
    def test_it_is_the_time_of_day(self):
        """What upstream's timestamps are compared with."""
        assert abs(clock.wall() - time.time()) < 1
