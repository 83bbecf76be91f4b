"""`credbroker completion`: a script that a shell can load, and what it then completes."""

import pytest

from tests.cli.newcomer import CREDBROKER, Newcomer

COMPLETE = """
source <("$0" completion bash)
COMP_WORDS=({words}) COMP_CWORD={last}
_credbroker_completion "$0"
echo "${{COMPREPLY[@]}}"
"""


def completed(user: Newcomer, line: str) -> list[str]:
    """What bash offers at the end of a line, having loaded the script."""
    words = line.split(" ")
    script = COMPLETE.format(words=" ".join(f"'{word}'" for word in words), last=len(words) - 1)
    program = user.home / "credbroker"
    program.write_text(f'#!/bin/sh\nexec {" ".join(CREDBROKER)} "$@"\n')
    program.chmod(0o700)
    return user.shell(["bash", "-c", script, str(program)]).out.split()


class TestScripts:
    def test_bash_can_load_it(self, nobody: Newcomer):
        """Without a word, and without running anything."""
        assert nobody.shell(["bash", "-n"], stdin=nobody.run("completion", "bash").out) == nobody.shell(
            ["bash", "-c", ""]
        )

    @pytest.mark.parametrize(
        ("shell", "start"), [("zsh", "#compdef credbroker\n"), ("fish", "function _credbroker_completion;")]
    )
    def test_the_others_have_theirs(self, nobody: Newcomer, shell: str, start: str):
        """In their own language."""
        assert nobody.run("completion", shell).out.lstrip().startswith(start)

    def test_another_shell_is_wrong_usage(self, nobody: Newcomer):
        """With those that there are."""
        ran = nobody.run("completion", "csh")

        assert (ran.status, "'bash', 'zsh', 'fish'" in ran.err) == (2, True)


class TestBash:
    @pytest.mark.parametrize(
        ("line", "offered"),
        [
            ("credbroker st", ["status"]),
            ("credbroker token ", ["issue", "list", "revoke"]),
            ("credbroker exec --use train,cl", ["train,closed"]),
            ("credbroker token issue --caller b", ["batch"]),
            ("credbroker explain --caller b", ["batch"]),
            ("credbroker explain --caller batch cl", ["closed"]),
        ],
    )
    def test_it_offers_what_fits(self, stage: Newcomer, line: str, offered: list[str]):
        """Commands, options, and the running daemon's names."""
        assert completed(stage, line) == offered

    def test_without_a_daemon_names_are_simply_unknown(self, nobody: Newcomer):
        """No word of it in the middle of a line."""
        assert completed(nobody, "credbroker get ") == []
