"""The table of dialects, and what holds for each of them."""

import pytest

from broker.dialects import DIALECTS, Dialect
from broker.errors import Denied, NotReady, Refused, Throttled
from broker.wire import NOT_PLAIN, Reply, Request, to_bytes
from tests.dialects.leases import REQUEST_ID, a_request

EACH = list(DIALECTS.values())


def parsed(dialect: Dialect, segments: tuple[str, ...]) -> object:
    """What a dialect makes of a path, with every header that one may need."""
    fields = {"metadata-flavor": "Google", "x-aws-ec2-metadata-token": "shown"}
    fields |= {"x-databricks-metadata-version": "1", "x-databricks-host": "https://dbc.example"}
    query = (("api-version", "2019-08-01"), ("resource", "https://storage.azure.com"))
    return dialect.parse(Request("GET", segments, query, fields, keep_alive=True))


class TestTable:
    @pytest.mark.parametrize("dialect", EACH)
    @pytest.mark.parametrize(
        "path",
        [
            *("/", "/aws/a", "/azure/token", "/computeMetadata/v1/instance/", "/databricks/a", "/env/a"),
            *("/latest/meta-data/placement/region", "/token/a"),
        ],
    )
    def test_a_path_is_known_to_the_dialect_of_its_first_segment_alone(self, dialect: Dialect, path: str):
        """Otherwise one path could be answered in two ways."""
        segments = tuple(path[1:].split("/"))

        assert (parsed(dialect, segments) is not None) == (DIALECTS[segments[0]] is dialect)

    @pytest.mark.parametrize("dialect", EACH)
    @pytest.mark.parametrize(
        "path", [NOT_PLAIN, ("w", "cbp_x"), ("nowhere",), ("aws", "a", "b"), ("AWS",), ("aws", "")]
    )
    def test_a_path_of_nobody_is_known_to_none(self, dialect: Dialect, path: tuple[str, ...]):
        """Exact match or 404; never another credential."""
        assert parsed(dialect, path) is None

    def test_only_metadata_servers_are_opened_by_a_path_token(self):
        """URLs end up in error texts: a token stands in one only where a client has no other place for it."""
        assert {dialect.NAME for dialect in EACH if dialect.path_token_ok} == {"databricks", "gcp"}


class TestRefusals:
    @pytest.mark.parametrize("dialect", EACH)
    def test_not_granted_and_not_existing_are_the_same_but_for_the_request_id(self, dialect: Dialect):
        """Names cannot be tried out; the reason stands in the audit line alone."""
        replies = [
            dialect.refuse(Refused(403, "AccessDenied", "not granted", reason=reason), request_id)
            for reason, request_id in (("not-granted", "0" * 16), ("unknown-credential", "f" * 16))
        ]

        assert len({len(reply.body) for reply in replies}) == 1
        assert replies[0].body.replace(b"0" * 16, b"f" * 16) == replies[1].body
        assert replies[0].headers == replies[1].headers

    @pytest.mark.parametrize("dialect", EACH)
    @pytest.mark.parametrize("retry_after", [0.0, 0.2, 1.0, 4.01])
    def test_a_client_is_told_when_to_ask_again(self, dialect: Dialect, retry_after: float):
        """Whole seconds, rounded up, never 0: a client that asks at once is told the same again."""
        reply = dialect.refuse(NotReady("nothing is minted yet", retry_after=retry_after), REQUEST_ID)

        assert reply.status == 503
        assert dict(reply.headers)["Retry-After"] == {0.0: "1", 0.2: "1", 1.0: "1", 4.01: "5"}[retry_after]

    @pytest.mark.parametrize("dialect", EACH)
    @pytest.mark.parametrize("error", [Throttled("later"), Denied("never", retry_after=3.0)])
    def test_no_time_is_invented(self, dialect: Dialect, error: Exception):
        """Where upstream gave none, and where asking again does not help."""
        assert isinstance(error, Throttled | Denied)
        assert "Retry-After" not in dict(dialect.refuse(error, REQUEST_ID).headers)

    @pytest.mark.parametrize("dialect", EACH)
    def test_who_is_not_identified_hears_what_to_set(self, dialect: Dialect):
        """A newcomer's first error should end with the way out."""
        refused = Refused(401, "Unidentified", "nothing says who you are")
        forbidden = Refused(403, "AccessDenied", "not granted")

        assert b"credbroker env" in dialect.refuse(refused, REQUEST_ID).body
        assert b"credbroker env" not in dialect.refuse(forbidden, REQUEST_ID).body

    @pytest.mark.parametrize("dialect", EACH)
    def test_every_refusal_says_its_request_id(self, dialect: Dialect):
        """It finds the audit line."""
        for status in (400, 401, 403, 404, 429, 503):
            assert REQUEST_ID.encode() in dialect.refuse(Refused(status, "Code", "advice"), REQUEST_ID).body

    @pytest.mark.parametrize("dialect", EACH)
    def test_a_refusal_can_be_written(self, dialect: Dialect):
        """Its headers are plain ASCII whatever the advice says."""
        reply = dialect.refuse(Refused(400, "BadRequest", "ä\r\nSet-Cookie: a"), REQUEST_ID)

        assert isinstance(reply, Reply)
        assert b"Set-Cookie" not in to_bytes(reply, close=True).partition(b"\r\n\r\n")[0]

    def test_a_request_reaches_its_dialect_as_the_parser_reads_it(self):
        """The table's keys are what the parser puts first."""
        assert {a_request(path).segments[0] for path in ("/", "/aws", "/token", "/env/a")} < set(DIALECTS)
