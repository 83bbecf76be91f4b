"""The command as a whole: its help, its mistakes, its output when nobody reads on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result

from broker.cli import credbroker
from tests.cli.newcomer import CREDBROKER, Newcomer

HEAVY = {"aiohttp", "uvloop", "boto3", "botocore", "google", "requests", "structlog"}


def every_command(
    group: click.Group = credbroker, way: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands and what they are called by."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*way, name), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*way, name))


COMMANDS = dict(every_command())


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(credbroker, arguments)


class TestHelp:
    def test_it_shows_the_way_from_nothing_to_a_worker(self):
        """A newcomer reads this and nothing else."""
        page = invoked("--help").output

        for step in (
            "credbroker exec -- ",
            "config example",
            "check --config",
            "serve --config",
            'eval "$(credbroker env)"',
        ):
            assert step in page

    def test_it_tells_the_exit_statuses(self):
        """Scripts test for them."""
        assert "0 done, 1 failed at run time, 2 wrong usage or configuration, 3" in invoked("--help").output

    def test_no_command_at_all_shows_it(self):
        """As wrong usage."""
        result = invoked()

        assert (result.exit_code, "Commands:" in result.output) == (2, True)

    @pytest.mark.parametrize("way", COMMANDS, ids=" ".join)
    def test_every_command_has_its_own(self, way: tuple[str, ...]):
        """With a first sentence that says what it does."""
        result = invoked(*way, "--help")

        assert result.exit_code == 0
        assert result.output.startswith(f"Usage: credbroker {' '.join(way)} ")
        assert (COMMANDS[way].help or "").splitlines()[0].strip().endswith((".", "`."))

    @pytest.mark.parametrize("way", COMMANDS, ids=" ".join)
    def test_every_option_is_explained(self, way: tuple[str, ...]):
        """A metavar is no explanation."""
        options = [one for one in COMMANDS[way].params if isinstance(one, click.Option) and not one.hidden]

        assert [option.name for option in options if not option.help] == []

    @pytest.mark.parametrize("way", COMMANDS, ids=" ".join)
    def test_no_line_is_wider_than_a_terminal(self, way: tuple[str, ...]):
        """Examples are not wrapped."""
        assert [line for line in invoked(*way, "--help").output.splitlines() if len(line) > 90] == []

    def test_it_loads_nothing_heavy(self):
        """Shell completion asks for it at each Tab."""
        code = (
            "import sys; from broker.cli import _COMMANDS, credbroker\n"
            "for name in _COMMANDS: credbroker.get_command(None, name)\nprint(*sys.modules)"
        )
        loaded = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout

        assert HEAVY.isdisjoint(name.split(".")[0] for name in loaded.split())


class TestMistakes:
    def test_a_misspelt_command_is_told_what_it_resembles(self):
        """And that the usage was wrong."""
        result = invoked("stauts")

        assert (result.exit_code, "did you mean `status`?" in result.output) == (2, True)

    def test_a_misspelt_option_likewise(self):
        """Even of `exec`, whose command has options of its own."""
        result = invoked("exec", "--ues", "train", "--", "true")

        assert (result.exit_code, "'--use'" in result.output) == (2, True)

    def test_an_option_before_its_command_is_shown_its_place(self, nobody: Newcomer):
        """Other programs take them there."""
        ran = nobody.run("--config", "config.toml", "check")

        assert (ran.status, ran.out) == (2, "")
        assert "credbroker COMMAND --option" in ran.err

    @pytest.mark.parametrize(
        "arguments",
        [
            ("get",),
            ("exec",),
            ("exec", "--"),
            ("token", "issue"),
            ("env", "--ttl", "1y"),
            ("exec", "--without", "moon", "true"),
        ],
        ids=" ".join,
    )
    def test_wrong_usage_is_2(self, nobody: Newcomer, arguments: tuple[str, ...]):
        """With nothing on standard output."""
        ran = nobody.run(*arguments)

        assert (ran.status, ran.out, "Traceback" in ran.err) == (2, "", False)


class TestOutput:
    def test_a_reader_who_has_enough_is_no_error_to_talk_about(self, nobody: Newcomer):
        """`credbroker config schema | head -1`."""
        reading, writing = os.pipe()
        os.close(reading)
        run = subprocess.run(
            [*CREDBROKER, "config", "schema"],
            env=nobody.environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writing)

        assert (run.returncode, run.stderr) == (1, b"")

    def test_a_full_disk_is_told_in_words(self, nobody: Newcomer):
        """`> file` on a full disk."""
        ran = nobody.shell(["sh", "-c", f"exec {' '.join(CREDBROKER)} config schema > /dev/full"])

        assert ran.outcome == (1, "output: No space left on device")

    def test_an_interrupt_says_nothing(self, stage: Newcomer):
        """Ctrl-C is what the user wanted."""
        with stage.start("status", "--watch", "--json") as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGINT)

            assert process.communicate(timeout=10)[1].strip() == ""
        assert process.returncode == 130
