"""The code is held to the house: rooms and arrows, sizes, where tasks, SDKs and secrets may be, and how tests read."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from tests.house import ARROWS, LONGEST_FILE, LONGEST_FUNCTION, TREE
from tests.house_rules import RULES, Function, Module, Rule, functions, idle, modules, room

BROKER = modules("broker")
TESTS = modules("tests")

# Modules without a test file of their own, each with the reason.
UNTESTED = {
    "broker.events": "values without behaviour; the tests of who notes them look at each",
    "broker.details": "likewise; so do the tests of the log",
    "broker.config.shape": "values without behaviour; the tests of config.read look at each",
    "broker.sources.source": "values without behaviour; the tests of the table look at each",
    "broker.control_api": "values without behaviour; the tests of the control plane and of its client send each",
}

# What may never be loaded in the daemon: the SDKs and what they bring.
HEAVY = {"boto3", "botocore", "google", "grpc", "cryptography", "requests", "urllib3", "moto"}

LINES = "    x = 1\n"


def daemon_modules() -> set[str]:
    """The top names of everything that a fresh process has loaded after importing the daemon."""
    code = "import broker.daemon, sys; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


class TestRooms:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
    def test_the_code_keeps_the_rule(self, rule: Rule):
        """Every breach is listed with its place."""
        breaches = rule(BROKER)

        assert not breaches, "\n".join(breaches)

    def test_arrows_point_down_only(self):
        """A cycle in the table would allow a cycle in the code."""
        assert list(graphlib.TopologicalSorter(ARROWS).static_order())

    @pytest.mark.parametrize(("one", "other"), [*permutations(("dialects", "callers", "sources", "state"), 2)])
    def test_the_four_edges_never_know_one_another(self, one: str, other: str):
        """A new protocol, caller, cloud or store touches one folder."""
        assert other not in ARROWS[one]

    def test_the_keeper_tells_nobody(self):
        """It returns events; the ledger turns them into metrics and audit."""
        assert ARROWS["keeper"].isdisjoint({"metrics", "audit", "logs", "ledger"})

    def test_every_name_in_the_table_is_a_room(self):
        """A misspelt arrow would allow nothing, silently."""
        assert set().union(*ARROWS.values()) <= set(ARROWS)

    def test_every_arrow_is_used(self):
        """One that is left over lets in what nobody meant to let in any more."""
        assert idle(BROKER) == []

    def test_an_arrow_that_nobody_uses_is_found(self):
        """A rule that cannot fail holds nothing."""
        assert "daemon need not know upstream" in idle([one for one in BROKER if one.room != "daemon"])

    def test_a_file_belongs_to_the_nearest_room(self):
        """The halves of the minter are rooms of their own."""
        assert [room("broker.minter.child"), room("broker.sources.aws"), room("broker.elsewhere")] == [
            "minter.child",
            "sources",
            None,
        ]


class TestRulesCanFail:
    @pytest.mark.parametrize(
        ("name", "text", "breach"),
        [
            ("broker.dialects.new", "from broker.sources import TABLE", "dialects may not know sources"),
            ("broker.callers.new", "from broker import desk", "callers may not know desk"),
            ("broker.keeper", "from broker.audit import Audit", "keeper may not know audit"),
            ("broker.plan", "def f():\n    import broker.daemon", "plan may not know daemon"),
            ("broker.server.new", "from . import worker", "say the whole name"),
            ("broker.desk", "import asyncio", "asyncio is none of desk's business"),
            ("broker.policy", "from aiohttp import web", "aiohttp is none of policy's business"),
            ("broker.daemon", "def f():\n    import boto3", "boto3 is none of daemon's business"),
            ("broker.sources.new", "from google.auth import default", "google is imported inside functions only"),
            ("broker.audit", "import structlog", "structlog is none of audit's business"),
            ("broker.server.new", "asyncio.create_task(f())", "a task that nobody keeps"),
            ("broker.daemon", "asyncio.ensure_future(f())", "a task that nobody keeps"),
            ("broker.logs", "print(lease.value.token.open())", "opens a secret"),
            ("broker.desk", "tell(token.open)", "opens a secret"),
            ("broker.attic.thing", "", "belongs to no room"),
            ("broker.cli.utils", "", "its name says nothing"),
            ("broker.desk", "x = 1\n" * (LONGEST_FILE + 1), "301 lines"),
            ("broker.desk", "def f():\n" + LINES * LONGEST_FUNCTION, "f has 41 lines"),
        ],
    )
    def test_a_seeded_breach_is_found(self, name: str, text: str, breach: str):
        """A rule that cannot fail holds nothing."""
        seed = [Module.of(name, text), Module.of("broker.desk", ""), Module.of("broker.daemon", "")]

        assert breach in "\n".join(found for rule in RULES for found in rule(seed))

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("broker.rounds", "asyncio.get_running_loop().create_task(f())"),
            ("broker.daemon", "async def f(group):\n    group.create_task(g())"),
            ("broker.sources.new", "def mint():\n    import boto3"),
            ("broker.sources.new", "if TYPE_CHECKING:\n    from botocore.client import BaseClient"),
            ("broker.dialects.new", "token.open()"),
            ("broker.safefile", 'path.open("rb")\nos.open(path, 0)'),
            ("broker.desk", "from broker import policy\nfrom broker.model import Want"),
            ("broker.desk", 'def f():\n    """' + "Long.\n" * LONGEST_FUNCTION + '"""\n'),
        ],
    )
    def test_what_is_allowed_passes(self, name: str, text: str):
        """A rule that refuses the house's own ways would be switched off."""
        seed = [Module.of(name, text), Module.of("broker.policy", ""), Module.of("broker.model", "")]

        assert [found for rule in RULES for found in rule(seed)] == []


class TestDaemon:
    def test_it_loads_no_cloud_sdk(self):
        """Memory, start-up time and reach: whatever the SDKs can do happens in a minter."""
        assert {name.split(".")[0] for name in daemon_modules()}.isdisjoint(HEAVY)


class TestTests:
    def test_every_module_has_its_own_test_file(self):
        """Tests mirror broker/ one to one: tests/desk is where to look when desk breaks."""
        untested = [module.name for module in BROKER if has_code(module) and not is_tested(module.name)]

        assert not untested, "\n".join(untested)

    def test_every_reason_for_no_test_file_still_holds(self):
        """A list of exceptions goes stale in silence."""
        assert [name for name in UNTESTED if name not in {module.name for module in BROKER}] == []
        assert [name for name in UNTESTED if files_testing(name)] == []

    def test_every_test_says_in_a_sentence_why_it_matters(self):
        """A name tells what; the sentence tells why."""
        mute = [module.at(test, test.name) for module, test in all_tests() if not is_sentence(test)]

        assert not mute, "\n".join(mute)

    def test_nothing_is_skipped_or_expected_to_fail(self):
        """What cannot run here runs elsewhere as a suite of its own; what fails is mended."""
        marks = {"skip", "skipif", "xfail", "importorskip", "skipTest", "SkipTest"}
        found = [
            module.at(node, ast.unparse(node))
            for module in TESTS
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute) and node.attr in marks and "pytest" in ast.unparse(node)
        ]

        assert found == []

    def test_files_stay_within_their_size(self):
        """A test file that outgrows it tests two ideas."""
        assert [m.place for m in TESTS if len(m.text.splitlines()) > LONGEST_FILE] == []

    @pytest.mark.parametrize("page", sorted((TREE / "docs").glob("*.md")), ids=lambda page: page.name)
    def test_every_test_that_a_page_names_exists(self, page: Path):
        """A promise whose test was renamed is a promise nobody holds."""
        named = re.findall(r"tests/[a-z_/]+\.py", page.read_text())

        assert [path for path in named if not (TREE / path).exists()] == []


def has_code(module: Module) -> bool:
    """Whether there is more than a docstring."""
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in module.tree.body)


def is_tested(name: str) -> bool:
    """Whether a module has test files or a reason for having none."""
    return name == "broker" or name in UNTESTED or bool(files_testing(name))


def files_testing(name: str) -> list[str]:
    """The test files of broker.a.b: tests/a/test_b.py and tests/a/test_b_*.py; of a folder's own code, test_init.py."""
    *folders, last = name.split(".")[1:]
    if (TREE / "broker" / "/".join((*folders, last)) / "__init__.py").exists():
        folders, last = [*folders, last], "init"
    folder = TREE.joinpath("tests", *folders)
    return [path.name for pattern in (f"test_{last}.py", f"test_{last}_*.py") for path in folder.glob(pattern)]


def all_tests() -> Iterator[tuple[Module, Function]]:
    """Every test function of every test file."""
    for module in TESTS:
        if module.name.split(".")[-1].startswith("test_"):
            yield from ((module, test) for test in functions(module) if test.name.startswith("test_"))


def is_sentence(test: Function) -> bool:
    """Whether the docstring is one paragraph that ends like a sentence."""
    text = ast.get_docstring(test) or ""
    return "\n\n" not in text and text.endswith((".", "?", "!"))
