"""What is written for people is what the code does."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from broker import audit
from broker.cli import credbroker
from broker.config.read import parse
from broker.config.shape import Snapshot
from broker.events import LeaseMinted, RequestDenied
from broker.metrics import PREFIX, Metrics
from broker.model import Facts
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

    def test_every_fault_has_its_row_and_its_tests(self):
        """All fifty of them; only the one that does not apply has no test."""
        lines = (ROOT / "docs" / "faults.md").read_text().splitlines()
        rows = [line.split(" | ") for line in lines if re.match(r"\| [0-9]+ \|", line)]

        assert [int(row[0].removeprefix("| ")) for row in rows] == [*range(1, 51)]
        assert [row[0] for row in rows if "](../tests/" not in row[3]] == ["| 41"]

    def test_operations_names_every_metric(self):
        """And no other."""
        rows = [
            line.split(" | ")[0] for line in section("operations.md", "Health and metrics") if line.startswith("| `")
        ]
        named = {name.removesuffix("_total") for row in rows for name in re.findall(r"`([a-z]+_[a-z_]+)(?:\{|`)", row)}
        metrics = Metrics()
        metrics.listen(LeaseMinted("train", 1, 0.0, 0.1, Facts(), skew=0.0))  # without one no skew is told

        assert named == {family.name.removeprefix(PREFIX) for family in metrics.families({})}

    def test_operations_names_every_event_of_the_audit(self):
        """And no other: who looks for a line in vain believes that nothing has happened."""
        named = re.findall(r"`([A-Z][A-Za-z]+)`", " ".join(section("operations.md", "Logs and audit")))
        events = {event.__name__ for event in (*get_args(audit._AUDITED), RequestDenied)}

        assert set(named) == events | {"LinesLost"}

    def test_operations_names_every_reason_of_a_minter_that_refuses(self):
        """And no other: an alert on those that no honest daemon causes has to know them all."""
        sources = "".join(path.read_text() for path in (ROOT / "broker" / "minter").glob("*.py"))
        text = " ".join(section("operations.md", "Minters")).partition("with `reason`: ")[2].partition("Alert on")[0]

        assert set(re.findall(r"`(\w+)`", text)) == {*re.findall(r'NotAdmitted\("(\w+)"', sources), "frame"}

    @pytest.mark.parametrize("name", ["security.md", "threat-model.md"])
    def test_every_test_that_is_named_is_there(self, name: str):
        """A promise without its test would be none."""
        named = re.findall(r"`(tests/[^`]+)`", (ROOT / "docs" / name).read_text())
        missing = [one for one in named if not _is_there(*one.partition("::")[::2])]

        assert (missing, len(named) > 20) == ([], True)

    def test_every_fault_of_callers_that_is_tested_stands_in_the_security_page(self):
        """In the row of its number, with its file; those of upstream and of time are none of that page's."""
        rows = dict(re.findall(r"^\| (\d+) \|(.*)", (ROOT / "docs" / "security.md").read_text(), re.MULTILINE))
        tested = {
            (number, f"`tests/faults/{path.name}")
            for path in (ROOT / "tests" / "faults").glob("test_*.py")
            for number in re.findall(r"^class TestFault(\d+)", path.read_text(), re.MULTILINE)
            if 16 <= int(number) <= 31 or (int(number) >= 43 and number != "47")
        }

        assert [one for one in sorted(tested) if one[1] not in rows.get(one[0], "")] == []


def section(page: str, title: str) -> list[str]:
    """The lines below a heading of a page."""
    return (ROOT / "docs" / page).read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0].splitlines()


def _is_there(path: str, name: str) -> bool:
    """Whether a test file, and the class or function in it if one is named, exists."""
    file = ROOT / path
    if not file.is_file() or not name:
        return file.is_file()
    return name in {getattr(node, "name", None) for node in ast.parse(file.read_text()).body}
