"""A process that is to say nothing yet."""

from collections.abc import Iterator

import pytest
import structlog

from broker import logs
from broker.events import MinterLost


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class TestHush:
    def test_nothing_is_said_until_it_is_configured(self, capsys: pytest.CaptureFixture[str]):
        """What happens meanwhile somebody else tells."""
        logs.hush()
        logs.listen(MinterLost("died"))
        assert capsys.readouterr() == ("", "")
        logs.configure("warning", plain=False)
        logs.listen(MinterLost("died"))

        assert "minter lost" in capsys.readouterr().err
