"""Whose a key is and when it is over, from its name alone."""

import pytest

from broker.sources import rotation

OURS = rotation.mark("b2.train", "node1")


class TestMark:
    def test_it_is_of_one_credential_on_one_host(self):
        """A broker leaves alone what another one made."""
        marks = {rotation.mark(name, host) for name in ("a", "b") for host in ("node1", "node2")}

        assert len(marks) == 4
        assert rotation.mark("a") == rotation.mark("a")

    def test_it_tells_no_hosts_name_and_fits_where_only_letters_and_digits_do(self):
        """Backblaze takes a hundred letters, digits and hyphens."""
        name = rotation.named(rotation.mark("x_y." * 60, "secret-host"), 1_795_000_000.9)

        assert "secret" not in name
        assert name.replace("-", "").isalnum()
        assert len(name) <= 100


class TestIsOver:
    @pytest.mark.parametrize(
        ("name", "over"),
        [
            (rotation.named(OURS, 1_795_000_000), True),
            (rotation.named(OURS, 1_795_000_001), False),
            (rotation.named(rotation.mark("b2.train", "node2"), 1_700_000_000), False),
            (rotation.named(rotation.mark("b2", "node1"), 1_700_000_000), False),
            (rotation.named(rotation.mark("b2.train-1700000000", "node1"), 1_700_000_000), False),
            (f"{OURS}forever", False),
            (f"{OURS}17000000001", False),
            ("master", False),
        ],
    )
    def test_only_ours_and_only_past_their_end(self, name: str, over: bool):
        """Anything that is in doubt is somebody's."""
        assert rotation.is_over(name, OURS, 1_795_000_000.5) is over
