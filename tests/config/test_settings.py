"""`env = { ... }`: plain variables that travel with a credential."""

import pytest

from tests.config.toy import config, mistakes

HEAD = "[credentials.a]\nsource = 'aws-session'\n"


def told(env: str) -> list[str]:
    """The mistakes of an `env`, less where it stands."""
    return [one.partition("[credentials.a] ")[2] for one in mistakes(f"{HEAD}env = {env}")]


class TestReadSettings:
    def test_they_are_kept_in_order(self):
        """On any credential."""
        (found,) = config(f"{HEAD}env = {{ S3_ENDPOINT_URL = 'https://a', X = '' }}").credentials

        assert found.env == found.settings == (("S3_ENDPOINT_URL", "https://a"), ("X", ""))

    def test_they_may_have_a_table_of_their_own(self):
        """As TOML allows."""
        (found,) = config(f"{HEAD}[credentials.a.env]\nX = 'y'\n").credentials

        assert found.env == (("X", "y"),)

    def test_a_brace_is_a_brace(self):
        """They may be JSON."""
        (found,) = config(f"{HEAD}env = {{ X = '{{\"a\": 1}}' }}").credentials

        assert found.env == (("X", '{"a": 1}'),)

    @pytest.mark.parametrize(
        ("env", "mistake"),
        [
            ("{ 1X = 'a' }", "env.1X: is no name of a variable"),
            ("{ X = 1 }", "env.X: must be text"),
            ("{ X = '{caller}' }", "env.X: has a template, and none is filled in here"),
            ("{ X = 'a\\u0007' }".replace("'", '"'), "env.X: has a control character"),
            ("{ X = 'a\\nb' }".replace("'", '"'), "env.X: has a line break"),
            ("{ WANDB_API_KEY = 'CANARY' }", "env.WANDB_API_KEY: is a secret by its name or form"),
            ("{ AWS_CONFIG_FILE = '/x' }", "env.AWS_CONFIG_FILE: is what the broker itself sets"),
            ("{ AWS_PROFILE = 'x' }", "env.AWS_PROFILE: would be asked before the broker"),
            ("{ PATH = '/x' }", "env.PATH: is not for a credential to set"),
            (f"{{ X = '{'x' * 4097}' }}", "env.X: is longer than 4096 characters"),
            ("{ " + ", ".join(f"X{n} = ''" for n in range(65)) + " }", "env: has more than 64 variables"),
            ("'x'", "env: must be a table"),
        ],
    )
    def test_a_mistake_names_its_place_and_quotes_nothing(self, env: str, mistake: str):
        """The value may be a secret that stands in the wrong place."""
        (found,) = told(env)

        assert found.startswith(mistake)
        assert "CANARY" not in found
