"""What is written for people is what the code does."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import credbroker
from broker.config.read import parse
from broker.config.shape import Snapshot
from broker.metrics import Metrics
from tests.reference import page

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


class TestDocuments:
    def test_the_sources_page_is_written_from_the_code(self):
        """`python -m tests.reference > docs/sources.md` brings it up to date."""
        assert (ROOT / "docs" / "sources.md").read_text() == page()

    @pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
    def test_every_relative_link_leads_somewhere(self, document: Path):
        """A reader who follows one finds a file."""
        links = re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text())

        assert [link for link in links if not (document.parent / link).exists()] == []

    def test_what_the_stores_page_shows_can_be_configured(self):
        """Each example by itself, without a mistake."""
        examples = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "stores.md").read_text(), re.DOTALL)

        for example in examples:
            parse(Snapshot((("/etc/credbroker/config.toml", example.encode()),)), uids=lambda _: 1000)
        assert len(examples) >= len(re.findall(r"^- Worker: ", (ROOT / "docs" / "stores.md").read_text(), re.MULTILINE))

    def test_the_readme_names_every_command(self):
        """And the help names them too, from the same table."""
        commands = credbroker.list_commands(credbroker.make_context("credbroker", ["--help"], resilient_parsing=True))

        assert [name for name in commands if not re.search(rf"\b{name}\b", README)] == []

    def test_the_readme_names_no_command_that_is_not_there(self):
        """A command that it shows can be asked for help."""
        named = set(re.findall(r"credbroker ([a-z]+)", README)) - {"is", "uses"}

        assert {name for name in named if CliRunner().invoke(credbroker, [name, "--help"]).exit_code != 0} == set()

    def test_operations_names_every_metric(self):
        """And no other."""
        text = (ROOT / "docs" / "operations.md").read_text()
        families = {family.name.removeprefix("credbroker_") for family in Metrics().families({})}
        missing = {name for name in families if not re.search(rf"`{name}(_total)?(\{{|`)", text)}

        assert missing == set()
