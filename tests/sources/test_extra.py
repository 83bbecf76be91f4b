"""What a source says whose library is not installed."""

import pytest

from broker.errors import Denied
from broker.sources.extra import extra


class TestExtra:
    def test_it_names_what_to_install(self):
        """As pip takes it."""
        with pytest.raises(Denied, match=r"install 'credbroker\[moon\]'"), extra("moon"):
            raise ModuleNotFoundError("moonlib")

    def test_any_other_error_is_itself(self):
        """A library that is there and broken is not missing."""
        with pytest.raises(ImportError, match="broken"), extra("moon"):
            raise ImportError("broken")
