"""A worker's environment as text, read back by what it is meant for."""

import json
import subprocess

import pytest

from broker.secret import Secret
from broker.worker_env import worker_environment
from broker.worker_env.environment import Environment
from broker.worker_env.formats import FORMATS, SLURM_LINE, to_dotenv, to_json, to_shell, to_slurm
from tests.worker_env.workers import HEADER, WORKER

ODD = 'it\'s "$HOME" `id` \\ *;\n#'
ENVIRONMENT = Environment(set=(("PLAIN", "http://127.0.0.1:1/aws"), ("ODD", Secret(ODD))), unset=("A", "B"))


class TestShell:
    def test_a_shell_reads_back_every_value(self):
        """Whatever is in it, nothing is run."""
        script = to_shell(ENVIRONMENT) + 'printf %s "$PLAIN|$ODD|${A-unset}|${B-unset}"'
        run = subprocess.run(
            ["sh", "-euc", script], env={"A": "1", "B": "2"}, check=True, capture_output=True, text=True
        )

        assert run.stdout == f"http://127.0.0.1:1/aws|{ODD}|unset|unset"

    def test_an_empty_change_is_no_line(self):
        """A bare unset is an error in some shells."""
        assert to_shell(Environment()) == ""


class TestJson:
    def test_it_is_one_object_with_what_to_set_and_what_to_unset(self):
        """For programs that start programs."""
        assert json.loads(to_json(ENVIRONMENT)) == {
            "set": {"PLAIN": "http://127.0.0.1:1/aws", "ODD": ODD},
            "unset": ["A", "B"],
        }


class TestDotenv:
    def test_plain_values_have_no_quotes(self):
        """`docker --env-file` would take them for a part of the value."""
        assert to_dotenv(ENVIRONMENT).splitlines()[:2] == ["# unset: A B", "PLAIN=http://127.0.0.1:1/aws"]

    def test_every_value_of_a_worker_is_plain(self):
        """So docker, systemd and the libraries agree."""
        assert '"' not in to_dotenv(worker_environment(WORKER, {}))

    def test_an_odd_one_is_quoted_on_one_line(self):
        """A value must not become a second variable."""
        assert to_dotenv(ENVIRONMENT).splitlines()[2] == 'ODD="it\'s \\"\\$HOME\\" \\`id\\` \\\\ *;\\n#"'

    def test_nothing_to_unset_is_no_comment(self):
        """As for a worker without a cloud."""
        assert to_dotenv(Environment(set=(("A", "1"),))) == "A=1\n"


class TestSlurm:
    def test_it_is_what_slurmstepd_reads_from_a_task_prolog(self):
        """One a line, values verbatim."""
        environment = Environment(set=(("PLAIN", "a b'c"),), unset=("A", "B"))

        assert to_slurm(environment) == "unset A\nunset B\nexport PLAIN=a b'c\n"

    @pytest.mark.parametrize("value", ["x" * SLURM_LINE, "two\nexport PATH=/evil"])
    def test_what_does_not_fit_a_line_is_left_out(self, value: str):
        """The rest of it would be read as another line."""
        assert to_slurm(Environment(set=(("A", value), ("B", "1")))) == "export B=1\n"

    def test_every_variable_of_a_worker_fits(self):
        """Nothing is lost in practice."""
        environment = worker_environment(WORKER, {})

        assert len(to_slurm(environment).splitlines()) == len(environment.names())


class TestFormats:
    def test_there_is_one_for_each_name_of_the_contract(self):
        """`env --format`."""
        assert list(FORMATS) == ["sh", "json", "dotenv", "slurm"]

    @pytest.mark.parametrize("name", ["json", "dotenv"])
    def test_what_is_meant_for_elsewhere_remembers_nothing_of_here(self, name: str):
        """Another machine's paths are no identity to go back to."""
        assert "CREDBROKER_OUTER" not in FORMATS[name](worker_environment(WORKER, {"AWS_PROFILE": "prod"}))

    @pytest.mark.parametrize("name", FORMATS)
    def test_all_hold_the_token(self, name: str):
        """It is what `env` is asked for."""
        assert HEADER in FORMATS[name](worker_environment(WORKER, {}))
