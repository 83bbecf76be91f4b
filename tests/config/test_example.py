import re
import tomllib

from broker.config import schema
from broker.config.example import EXAMPLE
from broker.config.read import parse
from broker.config.shape import Config, Snapshot

# A comment that begins with a key is a setting that may be used.
COMMENTED = re.compile(r"^# ((?:\[|[a-z_]+ = ).*)$", re.MULTILINE)


def read(text: str) -> Config:
    return parse(Snapshot((("/etc/credbroker/config.toml", text.encode()),)))


class TestExample:
    def test_has_no_mistake(self):
        """What is printed can be saved and used."""
        found = read(EXAMPLE)

        assert [credential.name for credential in found.credentials] == ["base", "train", "data", "ckpt"]
        assert [caller.name for caller in found.callers] == ["trainer", "checkpoints"]

    def test_has_no_mistake_with_every_comment_made_a_setting(self):
        """A teacher does not teach mistakes."""
        text, count = COMMENTED.subn(r"\1", EXAMPLE)

        assert count > 20
        assert len(read(text).credentials) == 4
        assert [caller.name for caller in read(text).callers][-1] == "pods"

    def test_shows_every_setting_of_the_daemon_and_of_callers(self):
        """There is no other list of them in the program."""
        shown = EXAMPLE.replace("# ", "")
        made = schema.schema()
        keys = {*made["properties"]["daemon"]["properties"], *made["$defs"]["caller"]["properties"]}

        assert [key for key in keys if not re.search(rf"\b{key}\b", shown)] == []

    def test_is_plain_text_of_a_width_that_a_terminal_shows(self):
        """It is printed."""
        assert EXAMPLE.isascii()
        assert max(map(len, EXAMPLE.splitlines())) <= 120
        assert tomllib.loads(EXAMPLE)
