"""What a request shows of its caller."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.callers import match
from broker.callers.match import Attested, Bad, Bare, HeaderToken, ImdsToken, PathToken, Probe, Shown
from broker.wire import Request

HEADER = "cbw_" + "h" * 43
PATH = "cbp_" + "p" * 43


def asking(path: str, **fields: str) -> Request:
    """A GET; the fields' underscores stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Request("GET", tuple(path[1:].split("/")), (), named, keep_alive=True)


def shown(path: str, **fields: str) -> Shown:
    return match.identify_shown(asking(path, **fields))


class TestHeader:
    @pytest.mark.parametrize("value", [HEADER, f"Bearer {HEADER}", f"bearer {HEADER}"])
    @pytest.mark.parametrize("path", ["/aws/train", "/computeMetadata/v1/", "/"])
    def test_a_token_is_shown_raw_or_as_a_bearer(self, path: str, value: str) -> None:
        """AWS SDKs send the value as it is; people write Bearer."""
        assert shown(path, authorization=value) == HeaderToken(HEADER)

    def test_the_word_attested_asks_the_kernel(self) -> None:
        """A public constant: one static script serves every user of a node."""
        assert shown("/aws/train", authorization="attested") == Attested()

    @pytest.mark.parametrize(("value", "is_"), [(HEADER, HeaderToken(HEADER)), ("attested", Attested())])
    def test_app_services_header_is_authorization_on_its_path_alone(self, value: str, is_: Shown) -> None:
        """azure-identity sends no other."""
        assert shown("/azure/token", x_identity_header=value) == is_
        assert shown("/aws/train", x_identity_header=value) == Bare()

    @pytest.mark.parametrize("value", ["", "cbw_short", PATH])
    def test_a_bad_value_of_it_never_falls_back(self, value: str) -> None:
        """Likewise."""
        assert shown("/azure/token", x_identity_header=value) == Bad("authorization-not-ours")

    def test_it_and_authorization_are_one_too_many(self) -> None:
        """No client sends both, and one might hide that the other is bad."""
        assert shown("/azure/token", x_identity_header=HEADER, authorization="attested") == Bad(
            "identity-header-and-authorization"
        )

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "Attested",
            "attested ",
            "Bearer attested",
            "Bearer",
            "Bearer ",
            f"Bearer  {HEADER}",
            f"Basic {HEADER}",
            f"Bearer Bearer {HEADER}",
            HEADER[:-1],
            HEADER + "x",
            HEADER.upper(),
            PATH,
            f"Bearer {PATH}",
            "AWS4-HMAC-SHA256 Credential=AKIA",
            "Bearer ya29.a0",
        ],
    )
    def test_any_other_value_is_bad_and_never_falls_back(self, value: str) -> None:
        """Not to the uid, not by Metadata-Flavor, not on the probed path."""
        for path in ("/aws", "/computeMetadata/v1/", "/"):
            assert isinstance(shown(path, authorization=value, metadata_flavor="Google"), Bad)

    @given(st.text(max_size=60))
    def test_no_other_text_asks_the_kernel(self, value: str) -> None:
        """One constant does."""
        assert (shown("/aws", authorization=value) == Attested()) is (value == "attested")


class TestPath:
    @pytest.mark.parametrize("rest", [("computeMetadata", "v1", ""), ("databricks", "x"), ("aws",), ("", "")])
    def test_a_token_leaves_the_rest_to_its_dialect(self, rest: tuple[str, ...]) -> None:
        """Which says whether it may be opened so."""
        assert shown(f"/w/{PATH}/" + "/".join(rest)) == PathToken(PATH, rest)

    @pytest.mark.parametrize("value", [HEADER, "attested", "nonsense"])
    def test_it_decides_even_if_a_header_is_shown(self, value: str) -> None:
        """google-auth's path is set by the environment, a header perhaps by the program."""
        seen = shown(f"/w/{PATH}/computeMetadata/v1/", authorization=value, metadata_flavor="Google")

        assert seen == PathToken(PATH, ("computeMetadata", "v1", ""))

    @pytest.mark.parametrize(
        "path",
        [
            "/w",
            "/w/",
            "/w//computeMetadata",
            f"/w/{HEADER}/computeMetadata/v1/",
            f"/w/{PATH}x/computeMetadata/v1/",
            f"/w/{PATH[:-1]}/computeMetadata/v1/",
            f"/w/{PATH.replace('_', '%5F')}/computeMetadata/v1/",
            "/w/computeMetadata/v1/",
        ],
    )
    def test_what_is_no_path_token_is_bad_and_never_falls_back(self, path: str) -> None:
        """Whatever else is shown."""
        for fields in ({}, {"authorization": "attested"}, {"metadata_flavor": "Google"}, {"authorization": HEADER}):
            assert isinstance(shown(path, **fields), Bad)

    @pytest.mark.parametrize("path", [f"/W/{PATH}/computeMetadata", f"/x/w/{PATH}", f"//w/{PATH}"])
    def test_it_stands_in_front_or_nowhere(self, path: str) -> None:
        """Exact match."""
        assert shown(path) == Bare()


class TestImds:
    def put(self, path: str = "/latest/api/token", **fields: str) -> Shown:
        return match.identify_shown(msgspec.structs.replace(asking(path, **fields), method="PUT"))

    def test_the_put_asks_the_kernel(self) -> None:
        """It is the one way to say so that its clients know; an old session token beside it says nothing."""
        assert self.put() == self.put(x_aws_ec2_metadata_token="cbi_old") == Attested()

    def test_no_other_put_does(self) -> None:
        """One path, to the letter."""
        assert self.put("/worker-token") == self.put("/latest/api/token/") == self.put("/latest/api") == Bare()

    def test_a_session_token_is_shown_whole(self) -> None:
        """Whether it is good, and whose, needs the daemon's key and the connection."""
        for text in ("cbi_x", "", "attested", HEADER):
            assert shown("/latest/meta-data/", x_aws_ec2_metadata_token=text) == ImdsToken(text)

    def test_elsewhere_it_says_nothing(self) -> None:
        """It is the header of one protocol."""
        assert shown("/aws/train", x_aws_ec2_metadata_token="cbi_x") == Bare()
        assert shown("/", x_aws_ec2_metadata_token="cbi_x") == Probe()

    @pytest.mark.parametrize("value", ["attested", HEADER, f"Bearer {HEADER}", "nonsense", ""])
    def test_beside_authorization_it_is_bad(self, value: str) -> None:
        """No client sends both, and neither may hide that the other is bad."""
        assert isinstance(shown("/latest/meta-data/", authorization=value, x_aws_ec2_metadata_token="cbi_x"), Bad)

    def test_authorization_decides_about_the_put_too(self) -> None:
        """What is shown decides alone."""
        assert self.put(authorization=HEADER) == HeaderToken(HEADER)
        assert isinstance(self.put(authorization="nonsense"), Bad)

    def test_a_get_without_one_shows_nothing(self) -> None:
        """That is IMDSv1."""
        assert shown("/latest/api/token") == shown("/latest/meta-data/") == Bare()

    def test_it_is_not_printed(self) -> None:
        """Tracebacks and logs print values."""
        assert "cbi_x" not in repr(shown("/latest/meta-data/", x_aws_ec2_metadata_token="cbi_x"))


class TestNothingElse:
    @pytest.mark.parametrize("path", ["/", f"/w/{PATH}", f"/w/{PATH}/"])
    def test_a_probe_is_anybody_s(self, path: str) -> None:
        """Clients ask there whether this is a metadata server; no secret is there."""
        assert shown(path) == shown(path, metadata_flavor="Google") == Probe()

    def test_the_metadata_header_asks_the_kernel(self) -> None:
        """Where the environment names no path token."""
        assert shown("/computeMetadata/v1/instance", metadata_flavor="Google") == Attested()

    def test_authorization_decides_before_the_metadata_header(self) -> None:
        """What is shown on purpose counts."""
        assert shown("/computeMetadata/v1/", authorization=HEADER, metadata_flavor="Google") == HeaderToken(HEADER)

    @pytest.mark.parametrize("path", ["/aws", "/token/x", "/env/x", "/computemetadata/v1", "//computeMetadata", "//"])
    def test_elsewhere_the_metadata_header_says_nothing(self, path: str) -> None:
        """It is the header of one protocol."""
        assert shown(path, metadata_flavor="Google") == Bare()

    @pytest.mark.parametrize("flavor", ["google", "Google ", "", "Amazon"])
    def test_another_flavor_says_nothing(self, flavor: str) -> None:
        """The metadata server takes one word."""
        assert shown("/computeMetadata/v1/", metadata_flavor=flavor) == Bare()

    def test_a_bare_request_shows_nothing(self) -> None:
        """That is what an SSRF sends."""
        assert shown("/aws/train") == shown("/computeMetadata/v1/") == Bare()

    def test_no_shown_value_prints_its_token(self) -> None:
        """Tracebacks and logs print values."""
        assert HEADER not in repr(shown("/aws", authorization=HEADER))
        assert PATH not in repr(shown(f"/w/{PATH}/computeMetadata/v1/"))


class TestUnidentified:
    def test_it_does_not_say_what_was_wrong(self) -> None:
        """A guesser learns nothing; the dialect adds what to set, the audit line knows the reason."""
        refused = match.unidentified("token-unknown")

        assert (refused.status, refused.reason, refused.exit_status) == (401, "token-unknown", 4)
        assert refused.advice == match.unidentified("uid-matches-nobody").advice
