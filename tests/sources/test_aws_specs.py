"""The limits of STS, told to an operator before anything is asked."""

from typing import Any

import msgspec
import pytest

from broker.sources.aws_specs import AssumeRole, Federation, Session, WebIdentity, name_sent

ROLE: dict[str, Any] = {"role_arn": "arn:aws:iam::123456789012:role/path/train"}
WEB: dict[str, Any] = {**ROLE, "token_file": "/var/run/token"}


class TestLimits:
    @pytest.mark.parametrize(
        ("spec", "given"),
        [
            (Session, {}),
            (Session, {"duration": 129_600, "mfa_serial": "arn:aws:iam::123456789012:mfa/alice", "profile": "p"}),
            (AssumeRole, ROLE),
            (AssumeRole, {"role_arn": "arn:aws-us-gov:iam::123456789012:role/{caller}-{user}"}),
            (AssumeRole, {**ROLE, "duration": 43_200, "external_id": "a:b/c", "source_identity": "{user}@x"}),
            (AssumeRole, {**ROLE, "sts_regions": ["eu-west-1", "us-gov-west-1"], "region": "eusc-de-east-1"}),
            (AssumeRole, {**ROLE, "tags": {"caller": "{caller}"}, "transitive_tags": ["caller"]}),
            (AssumeRole, {**ROLE, "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"] * 10}),
            (WebIdentity, WEB),
            (Federation, {"session_name": "{user}"}),
        ],
    )
    def test_what_sts_takes_is_taken(self, spec: type, given: dict[str, Any]):
        """Templates included, wherever a name may hold one."""
        assert msgspec.convert(given, spec).mistakes() == ()

    @pytest.mark.parametrize(
        ("spec", "given"),
        [
            (Session, {"duration": 899}),
            (Session, {"duration": 129_601}),
            (Session, {"mfa_serial": "two words and"}),
            (Session, {"role_arn": "arn:aws:iam::123456789012:role/train"}),
            (Session, {"region": "eu west 1"}),
            (Session, {"region": "eu-west-1\n"}),
            (Session, {"endpoint_url": "ftp://example.com"}),
            (Session, {"endpoint_url": "https://user:password@example.com"}),
            (AssumeRole, {}),
            (AssumeRole, {"role_arn": "train"}),
            (AssumeRole, {"role_arn": "arn:aws:iam::123456789012:user/train"}),
            (AssumeRole, {"role_arn": "arn:aws:iam::123456789012:role/{nobody}"}),
            (AssumeRole, {**ROLE, "duration": 604_801}),
            (AssumeRole, {**ROLE, "session_name": "a"}),
            (AssumeRole, {**ROLE, "session_name": "two words"}),
            (AssumeRole, {**ROLE, "session_name": "naïve"}),
            (AssumeRole, {**ROLE, "source_identity": "x" * 65}),
            (AssumeRole, {**ROLE, "external_id": "x"}),
            (AssumeRole, {**ROLE, "policy_arns": ["arn:aws:iam::aws:policy/A"] * 11}),
            (AssumeRole, {**ROLE, "policy_arns": ["ReadOnlyAccess"]}),
            (AssumeRole, {**ROLE, "policy": "{}"}),
            (AssumeRole, {**ROLE, "tags": {f"k{n}": "" for n in range(51)}}),
            (AssumeRole, {**ROLE, "tags": {"": "x"}}),
            (AssumeRole, {**ROLE, "tags": {"k": "x" * 257}}),
            (WebIdentity, {**WEB, "token_file": "relative/token"}),
            (WebIdentity, {**WEB, "profile": "p"}),
            (WebIdentity, ROLE),
            (Federation, {"duration": 899}),
            (Federation, {"mfa_serial": "arn:aws:iam::123456789012:mfa/alice"}),
        ],
    )
    def test_what_sts_refuses_is_refused_here(self, spec: type, given: dict[str, Any]):
        """Before a mint, and with its place."""
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(given, spec)


class TestMistakes:
    def fields(self, spec: Session | AssumeRole | WebIdentity) -> list[str]:
        return [field for field, _ in spec.mistakes()]

    def test_a_transitive_tag_must_be_a_tag(self):
        """STS would refuse the call."""
        spec = AssumeRole(**ROLE, tags={"a": "1"}, transitive_tags=("a", "b"))

        assert self.fields(spec) == ["transitive_tags"]

    @pytest.mark.parametrize(
        "spec", [AssumeRole(**ROLE, duration=43_201), WebIdentity(**ROLE, token_file="/t", duration=43_201)]
    )
    def test_more_than_half_a_day_is_for_the_sts_of_other_stores(self, spec: AssumeRole | WebIdentity):
        """AWS would refuse the call."""
        assert self.fields(spec) == ["duration"]
        assert self.fields(msgspec.structs.replace(spec, endpoint_url="https://minio.example")) == []

    def test_a_policy_that_is_too_long(self):
        """Counted as it is sent."""
        assert self.fields(AssumeRole(**ROLE, policy={"Statement": "x" * 2048})) == ["policy"]
        assert self.fields(AssumeRole(**ROLE, policy={"Statement": "x" * 2000})) == []

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:5000", "http://localhost", "http://[::1]:1/x", "https://sts.example"]
    )
    def test_an_endpoint_where_keys_stay_private(self, url: str):
        """TLS, or no wire at all."""
        assert self.fields(Session(endpoint_url=url)) == []

    @pytest.mark.parametrize(
        "url", ["http://sts.example", "http://10.0.0.1:9000", "http://127.0.0.1.example", "http://"]
    )
    def test_an_endpoint_where_they_would_not(self, url: str):
        """Session keys come back in the answer's body."""
        assert self.fields(Session(endpoint_url=url)) == ["endpoint_url"]

    def test_every_mistake_at_once(self):
        """Nobody corrects a file one error at a time."""
        spec = AssumeRole(**ROLE, endpoint_url="http://sts.example", policy={"x": "y" * 3000}, transitive_tags=("a",))

        assert self.fields(spec) == ["endpoint_url", "policy", "transitive_tags"]


class TestSchema:
    @pytest.mark.parametrize("spec", [Session, AssumeRole, WebIdentity, Federation])
    def test_every_field_says_what_it_is_for(self, spec: type):
        """`credbroker config schema` prints it."""
        properties = msgspec.json.schema(spec)["$defs"][spec.__name__]["properties"]

        assert [name for name, said in properties.items() if "description" not in said] == []

    @pytest.mark.parametrize("spec", [Session, AssumeRole, WebIdentity, Federation])
    def test_durations_are_marked_as_seconds(self, spec: type):
        """So that the configuration may say "45m"."""
        about = msgspec.inspect.type_info(spec)

        assert isinstance(about, msgspec.inspect.StructType)
        marked = [field.name for field in about.fields if getattr(field.type, "extra", None) == {"unit": "seconds"}]
        assert marked == ["duration"]


class TestNameSent:
    @pytest.mark.parametrize(
        ("spec", "longest"),
        [(AssumeRole(**ROLE, session_name="n" * 100), 64), (Federation(session_name="n" * 100), 32)],
    )
    def test_a_name_that_is_too_long_is_cut_to_what_sts_takes(self, spec: AssumeRole | Federation, longest: int):
        """With a digest of all of it in front."""
        assert len(name_sent(spec)) == longest

    @pytest.mark.parametrize("name", ["node7-trainer", "n" * 64])
    def test_any_other_is_sent_as_it_is(self, name: str):
        """As CloudTrail shows it."""
        assert name_sent(WebIdentity(**WEB, session_name=name)) == name
