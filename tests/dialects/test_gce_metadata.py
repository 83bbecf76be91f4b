"""The GCE metadata server: every path that clients ask, as they need it answered."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.dialects import gce_metadata
from broker.errors import NotReady, Refused
from broker.model import Facts, Kind, Want
from broker.wire import Reply
from tests.dialects.leases import (
    EMAIL,
    REQUEST_ID,
    SCOPES,
    a_lease,
    a_request,
    access_token,
    decoded,
    id_token,
    keys,
    text,
)

V1 = "/computeMetadata/v1"
ACCOUNTS = f"{V1}/instance/service-accounts"
FACTS = Facts(email=EMAIL, project="my-project")


def parse(target: str) -> Want | Reply | None:
    """What is wanted, with the header that the protocol wants."""
    return gce_metadata.parse(a_request(target, Metadata_Flavor="Google"))


def refused(target: str, **fields: str) -> int:
    """The status that a request is refused with."""
    with pytest.raises(Refused) as caught:
        gce_metadata.parse(a_request(target, **fields))
    return caught.value.status


def show(target: str, facts: Facts = FACTS, value: Any = None, left: float = 1799.9) -> Reply:
    """The view of a lease at a path."""
    return gce_metadata.render(a_request(target), a_lease(value or access_token(*SCOPES), facts), left)


class TestProbe:
    def test_the_root_needs_no_header_and_no_lease(self):
        """google-auth, gcsfs and Java ask it whether this is a metadata server at all."""
        reply = gce_metadata.parse(a_request("/"))

        assert isinstance(reply, Reply)
        assert (reply.status, reply.headers) == (200, (("Metadata-Flavor", "Google"),))

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            ("", "instance/\nproject/\nuniverse/"),
            ("/", "instance/\nproject/\nuniverse/"),
            ("/instance", "service-accounts/"),
            ("/instance/", "service-accounts/"),
            ("/universe/universe-domain", "googleapis.com"),
            ("/universe/universe_domain", "googleapis.com"),
        ],
    )
    def test_what_every_lease_answers_alike_needs_none(self, path: str, expected: str):
        """Node takes anything but a 200 on `instance` for another machine."""
        reply = parse(f"{V1}{path}")

        assert isinstance(reply, Reply)
        assert (reply.status, text(reply), reply.headers) == (200, expected, (("Metadata-Flavor", "Google"),))


class TestParse:
    @pytest.mark.parametrize(
        ("path", "account"),
        [
            ("", None),
            ("/", None),
            ("/?recursive=true", None),
            ("/default", None),
            ("/default/", None),
            ("/default/?recursive=true", None),
            ("/default/token", None),
            ("/default/token?scopes=a,b", None),
            ("/default/token?audience=a", None),  # object_store sends it
            ("/default/email", None),
            ("/default/scopes", None),
            ("/default/aliases", None),
            (f"/{EMAIL}", EMAIL),
            (f"/{EMAIL}/", EMAIL),
            (f"/{EMAIL}/token", EMAIL),
            ("/token/token", "token"),
        ],
    )
    def test_an_account_is_wanted_by_default_or_by_name(self, path: str, account: str | None):
        """google-auth moves to the e-mail at its second refresh, C++ at once; scopes asked for widen nothing."""
        assert parse(f"{ACCOUNTS}{path}") == Want(Kind.GOOGLE, account=account)

    @pytest.mark.parametrize("view", ["project-id", "numeric-project-id"])
    def test_the_project_is_the_leases(self, view: str):
        """Libraries ask it of the server when no variable says it."""
        assert parse(f"{V1}/project/{view}") == Want(Kind.GOOGLE)

    def test_an_id_token_is_wanted_for_its_audience(self):
        """Decoded, and of the account in the path."""
        query = "audience=https%3A%2F%2Fmy-service&format=full"

        assert parse(f"{ACCOUNTS}/default/identity?{query}") == Want(Kind.GOOGLE_ID, audience="https://my-service")
        assert parse(f"{ACCOUNTS}/{EMAIL}/identity?{query}") == Want(
            Kind.GOOGLE_ID, account=EMAIL, audience="https://my-service"
        )

    @pytest.mark.parametrize("query", ["", "?audience=", "?format=full"])
    def test_an_id_token_for_nobody_is_refused(self, query: str):
        """The real server says 400 too."""
        assert refused(f"{ACCOUNTS}/default/identity{query}", Metadata_Flavor="Google") == 400

    @pytest.mark.parametrize("query", ["transport=mtls", "binding-enforcement=on", "scopes=a&transport="])
    def test_a_bound_token_is_refused(self, query: str):
        """A plain one in its place would be a token that is not what was asked for."""
        assert refused(f"{ACCOUNTS}/default/token?{query}", Metadata_Flavor="Google") == 400

    @pytest.mark.parametrize("fields", [{}, {"Metadata_Flavor": "google"}, {"Metadata_Flavor": ""}])
    @pytest.mark.parametrize("path", [V1, f"{ACCOUNTS}/default/token", f"{V1}/nowhere", "/computeMetadata"])
    def test_without_the_header_nothing_is_answered(self, path: str, fields: dict[str, str]):
        """What an SSRF can send is a bare GET."""
        assert refused(path, **fields) == 403

    @pytest.mark.parametrize(
        "path",
        [
            "/computeMetadata",
            "/computeMetadata/",
            "/computeMetadata/v1beta1/instance",
            f"{V1}/instance/zone",
            f"{V1}/instance/id",
            f"{V1}/instance/attributes/",
            f"{V1}/project",
            f"{V1}/project/attributes/a",
            f"{ACCOUNTS}/default/token/",
            f"{ACCOUNTS}/default/Token",
            f"{ACCOUNTS}/default/keys",
            f"{ACCOUNTS}/default/token/x",
        ],
    )
    def test_what_is_no_matter_of_a_credential_is_not_known(self, path: str):
        """A zone or id that was made up would send clients elsewhere."""
        assert parse(path) is None


class TestToken:
    def test_the_body_is_what_google_auth_needs(self):
        """A string for a number, or another content type, crashes it."""
        reply = show(f"{ACCOUNTS}/default/token")

        assert decoded(reply) == {"access_token": "ya29.token", "expires_in": 1799, "token_type": "Bearer"}
        assert reply.headers == (("Metadata-Flavor", "Google"),)

    @given(st.floats(1.0, 1e6))
    def test_the_life_left_is_never_overstated(self, left: float):
        """An integer, 1 or more."""
        expires_in = decoded(show(f"{ACCOUNTS}/default/token", left=left))["expires_in"]

        assert isinstance(expires_in, int)
        assert 1 <= expires_in <= left < expires_in + 1

    def test_the_same_is_shown_by_e_mail(self):
        """The path only chose the lease."""
        assert show(f"{ACCOUNTS}/{EMAIL}/token") == show(f"{ACCOUNTS}/default/token")

    def test_an_id_token_is_text(self):
        """A JWT and nothing else."""
        assert text(show(f"{ACCOUNTS}/default/identity?audience=a", value=id_token())) == "head.claims.signature"


class TestAccounts:
    def test_the_listing_names_the_account_twice(self):
        """As a folder each."""
        assert text(show(ACCOUNTS)) == text(show(f"{ACCOUNTS}/")) == f"default/\n{EMAIL}/"

    def test_the_account_is_shown_whole(self):
        """google-auth, C++ and TensorStore take the e-mail and the scopes from here."""
        assert decoded(show(f"{ACCOUNTS}/default/?recursive=true")) == {
            "aliases": ["default"],
            "email": EMAIL,
            "scopes": list(SCOPES),
        }

    def test_all_accounts_are_shown_whole(self):
        """Older Java asks so."""
        shown = decoded(show(f"{ACCOUNTS}/?recursive=True"))

        assert set(shown) == {"default", EMAIL}
        assert shown["default"] == shown[EMAIL] == decoded(show(f"{ACCOUNTS}/{EMAIL}/?recursive=true"))

    @pytest.mark.parametrize(
        ("view", "expected"),
        [
            ("email", EMAIL),
            ("aliases", "default"),
            ("scopes", "\n".join(SCOPES)),
            ("", "aliases\nemail\nidentity\nscopes\ntoken"),
            ("?recursive=false", "aliases\nemail\nidentity\nscopes\ntoken"),
        ],
    )
    def test_a_view_is_text_without_a_trailing_newline(self, view: str, expected: str):
        """Some clients put it into the next path as it is."""
        assert text(show(f"{ACCOUNTS}/default/{view}")) == expected

    @pytest.mark.parametrize("email", [None, "", "a+b@example.org", "a/../b@example.org", "é@example.org", ".a@b"])
    def test_an_account_that_cannot_stand_in_a_path_is_called_default(self, email: str | None):
        """An e-mail must not be empty, and clients put it into the next path unescaped."""
        facts = Facts(email=email)

        assert decoded(show(f"{ACCOUNTS}/default/?recursive=true", facts))["email"] == "default"
        assert text(show(f"{ACCOUNTS}/default/email", facts)) == "default"
        assert text(show(f"{ACCOUNTS}/", facts)) == "default/"
        assert set(decoded(show(f"{ACCOUNTS}/?recursive=true", facts))) == {"default"}


class TestProject:
    def test_the_project_is_text_without_a_trailing_newline(self):
        """Libraries do not strip it."""
        assert text(show(f"{V1}/project/project-id")) == "my-project"

    @pytest.mark.parametrize("view", ["project-id", "numeric-project-id"])
    def test_a_project_that_is_not_known_is_not_found(self, view: str):
        """google-auth then goes on without one; an empty one it would use."""
        reply = show(f"{V1}/project/{view}", Facts())

        assert (reply.status, reply.headers) == (404, (("Metadata-Flavor", "Google"),))

    def test_a_number_is_not_made_up(self):
        """Only a project that is known by its number has one."""
        assert show(f"{V1}/project/numeric-project-id").status == 404
        assert text(show(f"{V1}/project/numeric-project-id", Facts(project="123456"))) == "123456"


class TestWrongKind:
    @pytest.mark.parametrize("path", ["/default/token", "/default/scopes", "/default/?recursive=true"])
    @pytest.mark.parametrize("value", [keys(), id_token()])
    def test_a_lease_of_another_kind_is_never_shown(self, path: str, value: Any):
        """It would be another secret in the wrong shape."""
        with pytest.raises(TypeError):
            show(f"{ACCOUNTS}{path}", value=value)

    def test_an_access_token_is_no_id_token(self):
        """It would be sent to an audience that could use it."""
        with pytest.raises(TypeError):
            show(f"{ACCOUNTS}/default/identity?audience=a")


class TestRefuse:
    @pytest.mark.parametrize("error", [Refused(401, "A", "b"), Refused(404, "A", "b"), NotReady("b", retry_after=1.0)])
    def test_every_refusal_carries_the_flavor(self, error: Refused | NotReady):
        """Node takes a reply without it for a captive portal."""
        assert ("Metadata-Flavor", "Google") in gce_metadata.refuse(error, REQUEST_ID).headers

    def test_it_is_one_line_of_text(self):
        """Clients put the body into their own error as it is."""
        refusal = gce_metadata.refuse(Refused(403, "AccessDenied", "not granted"), REQUEST_ID)

        assert text(refusal) == f"AccessDenied: not granted (request {REQUEST_ID})"
