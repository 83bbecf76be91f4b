"""What is said to people."""

import pytest

from broker.cli.words import LOG_IN, NO_IDENTITY, say, told_of, warn
from broker.config.zero import CREDENTIALS
from broker.errors import BrokerError


class TestSay:
    def test_every_line_bears_our_name(self, capsys: pytest.CaptureFixture[str]):
        """Under `exec` the command's own words stand beside them; and standard output is for data."""
        say("one\ntwo")
        warn("three")

        assert capsys.readouterr() == ("", "credbroker: one\ncredbroker: two\ncredbroker: warning: three\n")


class TestLogIn:
    def test_every_cloud_of_zero_configuration_has_advice(self):
        """A newcomer is told how to become somebody on each."""
        assert LOG_IN.keys() == CREDENTIALS.keys()
        assert [name for name, advice in LOG_IN.items() if advice not in NO_IDENTITY] == []


class TestToldOf:
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
