"""Which settings of a user's own profile a worker may know, and how odd a file may be."""

from pathlib import Path

import botocore.configloader
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.worker_env.profile import KEPT, KEPT_BLOCKS, Settings, profile_settings

FULL = """
# mine
[default]
region = us-east-1
output=json

[profile prod]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/admin
source_profile = default
credential_process = /bin/steal
sso_session = corp
sso_account_id = 123456789012
aws_access_key_id = AKIASTATIC
aws_secret_access_key = static
aws_session_token = static
mfa_serial = arn:aws:iam::123456789012:mfa/ann
web_identity_token_file = /var/token
login_session = arn
Retry_Mode = adaptive
max_attempts = 7
ca_bundle = /etc/ssl/corp.pem ; from IT
cli_pager =
s3 =
    addressing_style = path
    max_concurrent_requests = 20
dynamodb =
    endpoint_url = http://127.0.0.1:8000
services = local

[services local]
s3 =
    endpoint_url = http://127.0.0.1:9000
    secret = static
sts =
    endpoint_url = http://127.0.0.1:9001

[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
"""


class TestWhatIsKept:
    def test_settings_are_and_credentials_are_not(self):
        """Nothing that is a secret, and nothing by which an SDK would find one."""
        assert profile_settings(FULL, "prod") == Settings(
            values=(
                ("cli_pager", ""),
                ("region", "eu-west-1"),
                ("retry_mode", "adaptive"),
                ("max_attempts", "7"),
                ("ca_bundle", "/etc/ssl/corp.pem"),
                ("services", "local"),
            ),
            blocks=(("s3", (("addressing_style", "path"), ("max_concurrent_requests", "20"))),),
            services=(
                ("s3", (("endpoint_url", "http://127.0.0.1:9000"),)),
                ("sts", (("endpoint_url", "http://127.0.0.1:9001"),)),
            ),
        )

    @pytest.mark.parametrize("word", ["aws_", "sso", "role", "source", "process", "secret", "token", "mfa", "login"])
    def test_no_name_that_is_kept_speaks_of_credentials(self, word: str):
        """The list only ever grows by hand."""
        assert not [name for name in KEPT | KEPT_BLOCKS if word in name]

    @pytest.mark.parametrize("profile", [None, "default"])
    def test_without_a_name_it_is_the_default_profile(self, profile: str | None):
        """As for every SDK."""
        assert profile_settings(FULL, profile).values == (("region", "us-east-1"), ("output", "json"))

    def test_a_profile_that_is_not_there_has_none(self):
        """To say so is the minter's affair."""
        assert profile_settings(FULL, "none") == Settings()

    def test_a_services_section_that_is_not_there_is_not_named(self):
        """An SDK refuses a profile that names one."""
        assert profile_settings("[default]\nservices = none\nregion = x") == Settings(values=(("region", "x"),))


class TestOddFiles:
    @pytest.mark.parametrize(
        "text",
        [
            "\ufeff[default]\nregion = x\n",
            "[default]\r\nregion = x\r\n",
            "[ default ]\nregion: x",
            '[profile "default"]\nregion = x',
            "[default] # mine\nregion = x # here",
            "[default]\nREGION =x",
            "region = before\n[default]\nregion = x",
            "[default]\nregion = y\n[profile p]\nregion = z\n[default]\nregion = x",
            "[default]\nregion = y\nregion = x",
            "[default]\nregion = x\n    more = lines\n",
            "[default]\n[\n]\nno value\n= nothing\nregion = x",
            "[default]\ns3 =\n    no value here\n\n  # a comment\nregion = x",
            "[profile 'a]\n[default]\nregion = x",
            "[a b c]\nregion = y\n[default]\nregion = x",
        ],
    )
    def test_what_can_be_read_is(self, text: str):
        """An odd line hides no other one."""
        assert profile_settings(text) == Settings(values=(("region", "x"),))

    @given(st.text(alphabet="[]default profile=:#;s3\n\t \"'\\x00é", max_size=200))
    def test_no_file_is_too_odd(self, text: str):
        """It is not for us to complain about a user's file."""
        assert isinstance(profile_settings(text, "p"), Settings)


WORDS = st.text(alphabet="abcXYZ019_-./:", min_size=1, max_size=12).filter(lambda word: word[0].isalpha())
KEYS = st.sampled_from(sorted(KEPT - {"services"}))
PROFILES = st.dictionaries(KEYS, WORDS, max_size=6)
PAIRS = st.dictionaries(st.sampled_from(["addressing_style", "max_queue_size"]), WORDS, min_size=1)
BLOCKS = st.dictionaries(st.sampled_from(sorted(KEPT_BLOCKS)), PAIRS)


class TestAgainstBotocore:
    @given(profile=PROFILES, blocks=BLOCKS, name=st.sampled_from(["default", "p", "two words"]))
    def test_a_plain_file_is_read_as_botocore_reads_it(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        profile: dict[str, str],
        blocks: dict[str, dict[str, str]],
        name: str,
    ):
        """It is botocore's format."""
        lines = ["[default]" if name == "default" else f'[profile "{name}"]']
        lines += [f"{key} = {value}" for key, value in profile.items()]
        for block, pairs in blocks.items():
            lines += [f"{block} =", *(f"  {key} = {value}" for key, value in pairs.items())]
        file: Path = tmp_path_factory.mktemp("aws") / "config"
        file.write_text("\n".join(lines))
        settings = profile_settings(file.read_text(), name)

        ours = dict(settings.values) | {block: dict(pairs) for block, pairs in settings.blocks}
        assert ours == botocore.configloader.load_config(str(file))["profiles"][name]
