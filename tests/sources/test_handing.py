"""What cannot be short-lived, handed on."""

from broker import clock
from broker.model import Facts, Variables
from broker.secret import Secret
from broker.sources.handing import INVENTED, NOTE, handed

VALUE = Variables((("A", Secret("a")),))


class TestHanded:
    def test_its_expiry_is_invented_and_it_says_so(self):
        """The one case where upstream states none."""
        before = clock.wall()
        minted = handed(VALUE, Facts(principal="AKIA"), 300)

        assert minted.lifetime == INVENTED
        assert before + INVENTED <= minted.expires_at <= clock.wall() + INVENTED
        assert minted.facts == Facts(principal="AKIA", note=NOTE)

    def test_it_is_to_be_read_anew_long_before(self):
        """What its owner changes counts soon."""
        assert handed(VALUE, Facts(), 300).again == 300
