import msgspec
import pytest

from broker import sources
from broker.config.read import parse
from broker.config.shape import Credential, Snapshot
from broker.errors import ConfigError
from tests.config.toy import Adc, Role, Session, config, mistakes

SOURCES = "aws-session, aws-assume-role, aws-web-identity, gcp-adc, azure-sas, gcp-impersonate"
ARN = "role_arn = 'arn:x'"


def credential(text: str) -> Credential:
    (found,) = config(f"[credentials.train]\n{text}").credentials
    return found


def role(text: str) -> Role:
    spec = credential(f"source = 'aws-assume-role'\n{ARN}\n{text}").spec
    assert isinstance(spec, Role)
    return spec


def told(text: str, source: str = "aws-assume-role") -> list[str]:
    return [
        mistake.partition("[credentials.train] ")[2]
        for mistake in mistakes(f"[credentials.train]\nsource = '{source}'\n{text}")
    ]


class TestCommonKeys:
    def test_have_their_defaults(self):
        """Only the source must be said."""
        assert credential("source = 'aws-session'") == Credential(name="train", source="aws-session", spec=Session())

    def test_are_read_for_every_source(self):
        """Beside the keys of the source itself."""
        text = """
            source = "gcp-adc"
            scopes = ["a", "b"]
            warm = "start"
            required = false
            on_denied = "keep"
            share_identity = true
            """

        assert credential(text) == Credential(
            name="train",
            source="gcp-adc",
            spec=Adc(scopes=("a", "b")),
            warm="start",
            required=False,
            on_denied="keep",
            share_identity=True,
        )

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("warm = 'later'", "warm: must be one of first-use, start"),
            ("required = 'yes'", "required: must be true or false"),
            ("on_denied = 'evictt'", "on_denied: must be one of evict, keep"),
            ("share_identity = 1", "share_identity: must be true or false"),
            ("from = ['a']", "from: must be text"),
        ],
    )
    def test_are_held_to_their_types(self, text: str, mistake: str):
        """And told in words."""
        assert told(f"{ARN}\n{text}") == [mistake]

    @pytest.mark.parametrize("name", ["", "a b", "x" * 65, "ä", "a/b", "a\\n"])
    def test_a_name_is_what_a_path_can_hold(self, name: str):
        """It stands in URLs, labels and variables."""
        (mistake,) = mistakes(f'[credentials."{name}"]\nsource = "aws-session"')

        assert mistake.endswith(
            ": a name has 1 to 64 letters, digits, dots, underscores, at signs or hyphens, and no dot first"
        )

    def test_a_credential_is_a_table(self):
        """Not a text."""
        assert mistakes("credentials.a = 'x'") == [
            "config.toml:1 [credentials.a]: must be a table",
            f"config.toml:1 [credentials.a]: source is missing; one of {SOURCES}",
        ]


class TestSource:
    def test_a_misspelt_source_gets_a_suggestion(self):
        """Its other keys are not judged then: nobody knows them."""
        assert told("whatever = 3", "aws-asume-role") == ["source: unknown source; did you mean `aws-assume-role`?"]

    def test_a_foreign_source_gets_the_list(self):
        """Without quoting what was written."""
        assert told("", "vault") == [f"source: unknown source; one of {SOURCES}"]

    def test_a_source_that_is_no_text_is_told_once(self):
        """One line for one mistake."""
        assert mistakes("[credentials.train]\nsource = 3") == ["config.toml:2 [credentials.train] source: must be text"]


class TestSpec:
    def test_durations_are_read_as_people_write_them(self):
        """To seconds."""
        assert [role(f"duration = {text}").duration for text in ("'45m'", "'1h30m'", "900")] == [2700, 5400, 900]

    def test_lists_and_tables_keep_what_is_in_them(self):
        """A policy is handed to the cloud as it stands."""
        spec = role(
            """
            regions = ["eu-west-1", "eu-west-2"]
            weight = 2
            policy = { Statement = [{ Effect = "Allow", Resource = "b/${aws:username}/{caller}" }] }
            """
        )

        assert spec.regions == ("eu-west-1", "eu-west-2")
        assert spec.policy == {"Statement": [{"Effect": "Allow", "Resource": "b/${aws:username}/{caller}"}]}

    def test_a_path_starts_at_the_file_it_is_written_in(self):
        """A minter has a working folder of its own."""
        assert role("key_file = 'key.json'").key_file == "/etc/credbroker/key.json"
        assert role("key_file = '/k/{caller}'").key_file == "/k/{caller}"

    def test_every_mistake_is_told_at_once(self):
        """Each with its line."""
        text = """
            [credentials.train]
            source = "aws-assume-role"
            role_arn = "123"
            duraton = "1h"
            duration = "13h"
            external_id = "x"
            regions = ["a", "B!"]
            tags = { a = "1", b = "2", c = "3" }
            session_name = "{calller}"
            policy = { Version = 2012-10-17 }
            """

        lifetime = 'must be a duration such as "45m" or "1h", 15m to 12h (how long it lives)'
        regions = "must be a list of at most 3 items, each item text of the form [a-z0-9-]+"

        assert mistakes(text) == [
            "config.toml:4 [credentials.train] role_arn: must be text such as arn:aws:iam::123456789012:role/train",
            "config.toml:5 [credentials.train] duraton: unknown key; did you mean `duration`?",
            f"config.toml:6 [credentials.train] duration: {lifetime}",
            "config.toml:7 [credentials.train] external_id: must be text of 2 to 8 characters",
            f"config.toml:8 [credentials.train] regions[1]: {regions}",
            "config.toml:9 [credentials.train] tags: must be a table of at most 2 keys",
            "config.toml:10 [credentials.train] session_name: has an unknown template; did you mean {caller}?",
            "config.toml:11 [credentials.train] policy.Version: is a date or time; write it as text, in quotes",
        ]

    def test_a_missing_key_is_told_with_what_it_takes(self):
        """At the table, since it stands nowhere."""
        assert mistakes("\n[credentials.train]\nsource = 'aws-assume-role'") == [
            "config.toml:2 [credentials.train]: role_arn is missing: text such as arn:aws:iam::123456789012:role/train"
        ]

    def test_a_rule_between_fields_is_placed_at_the_field(self):
        """The source knows the rule, the reader the place."""
        assert told(f"{ARN}\ntags = {{ a = 'b' }}\nexternal_id = 'xx'") == [
            "tags: are not for a role with an external_id"
        ]

    def test_it_is_told_beside_fields_that_are_wrong_by_themselves(self):
        """A second run for it would be one too many."""
        assert told("role_arn = 7\ntags = { a = 'b' }\nexternal_id = 'xx'") == [
            "role_arn: must be text such as arn:aws:iam::123456789012:role/train",
            "tags: are not for a role with an external_id",
        ]

    @pytest.mark.parametrize("text", ["tags = { a = 'b' }\nexternal_id = 7", "tags = 7\nexternal_id = 'xx'"])
    def test_it_is_not_told_where_it_hangs_on_one_of_them(self, text: str):
        """Nobody knows yet what that is to be."""
        assert len(told(f"{ARN}\n{text}")) == 1

    @pytest.mark.parametrize("source", sources.TABLE.values(), ids=list(sources.TABLE))
    def test_every_source_can_be_judged_without_what_it_needs(self, source: sources.Source):
        """There is a stand-in for each of its required fields: all that is told is that they are missing."""
        required = [field.encode_name for field in msgspec.structs.fields(source.spec) if field.required]
        text = f"[credentials.train]\nsource = '{source.name}'\nwarm = 7"
        with pytest.raises(ConfigError) as caught:
            parse(Snapshot((("/etc/credbroker/config.toml", text.encode()),)))

        found = str(caught.value)
        assert [key for key in required if f"{key} is missing" not in found] == []

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("session_name = '{usr}'", "session_name"),
            ("tags = { team = '{usr}' }", "tags.team"),
            ("policy = { S = [{ R = ['{user}', '{usr'] }] }", "policy.S[0].R[1]"),
            ("policy = { '{usr}' = 'x' }", 'policy."{usr}"'),
        ],
    )
    def test_wrong_templates_are_found_at_any_depth(self, text: str, place: str):
        """They would reach the cloud as they stand."""
        (mistake,) = told(f"{ARN}\n{text}")

        assert mistake.startswith(f"{place}: has a")
