"""HMAC keys of a service account, made and deleted at a strict fake of Cloud Storage."""

import json
from collections.abc import Callable, Iterator

import msgspec
import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AccessToken, CallerFacts, Given, Kind, Variables
from broker.secret import Secret
from broker.sources import google
from broker.sources.gcs_hmac import MOST, SCOPE, GcsHmac, mint, retire, who
from tests.fakes.gcs_hmac import ACCOUNT, FakeGcsHmac
from tests.fakes.google.registry import Registry
from tests.fakes.objects import Buckets
from tests.fakes.serving import Answer, Call, Served
from tests.made import a_book, a_minted, an_hmac

pytestmark = pytest.mark.usefixtures("aws_home")

DAY = 86_400
OLD = "2020-01-01T00:00:00Z"
Specs = Callable[..., GcsHmac]


@pytest.fixture
def gcs() -> FakeGcsHmac:
    """With no key yet."""
    return FakeGcsHmac(Registry(), Buckets("data"))


@pytest.fixture
def specs(gcs: FakeGcsHmac) -> Iterator[Specs]:
    """Of the running fake."""
    with gcs.serve() as served:
        fields = {"service_account": ACCOUNT, "dedicated": True, "endpoint_url": served.url}
        yield lambda **more: GcsHmac(**(fields | more))  # type: ignore[arg-type]  # whatever a test names


@pytest.fixture
def given(gcs: FakeGcsHmac) -> Given:
    """A base lease that may administer."""
    return Given(base=bearer(gcs))


def bearer(gcs: FakeGcsHmac, scope: str = SCOPE) -> AccessToken:
    """A token of the fake Google."""
    return AccessToken(Secret(gcs._registry.issue("admin@example.com", [scope]).token))


class TestSpec:
    def test_the_account_must_be_said_to_be_the_brokers_alone(self):
        """Its keys have no names."""
        spec = GcsHmac(service_account=ACCOUNT)

        assert [field for field, _ in spec.mistakes()] == ["dedicated"]
        assert (spec.project, spec.kind, spec.short_lived) == ("my-project", Kind.GCS_HMAC, True)

    def test_boto3_is_told_to_send_no_checksum_behind_a_body(self):
        """Cloud Storage takes it for a wrong signature."""
        told = dict(GcsHmac(service_account=ACCOUNT, dedicated=True).settings())

        assert set(told.values()) == {"when_required"}
        assert "AWS_REQUEST_CHECKSUM_CALCULATION" in told

    def test_an_account_may_be_each_hosts_own(self):
        """Google allows ten keys to each."""
        name = "hmac-{hostname}@my-project.iam.gserviceaccount.com"
        book = a_book(an_hmac(service_account=name), hostname="node7")

        spec = book.rendered("hmac", CallerFacts(caller="trainer")).spec

        assert isinstance(spec, GcsHmac)
        assert spec.service_account == "hmac-node7@my-project.iam.gserviceaccount.com"

    def test_a_token_is_not_sent_in_the_clear(self):
        """It may administer."""
        spec = GcsHmac(service_account=ACCOUNT, dedicated=True, endpoint_url="http://storage.example")

        assert [field for field, _ in spec.mistakes()] == ["endpoint_url"]


class TestMint:
    def test_a_key_that_the_store_takes(self, gcs: FakeGcsHmac, specs: Specs, given: Given):
        """In the two variables that Streaming reads; its lease ends at the ttl, the key itself after twice that."""
        minted = mint(specs(ttl=900), given)

        (key,) = gcs.keys.values()
        who(specs(), minted.value)
        assert minted.value == Variables((("GCS_KEY", Secret(key.id)), ("GCS_SECRET", Secret(key.secret))))
        assert 895 < minted.lifetime <= 900
        assert (minted.facts.identity, minted.facts.project) == (ACCOUNT, "my-project")
        assert minted.facts.principal == key.id  # by which it is ended

    def test_without_from_the_identity_is_the_ambient_one(
        self, gcs: FakeGcsHmac, specs: Specs, monkeypatch: pytest.MonkeyPatch
    ):
        """With the one scope that is needed."""
        asked = []

        def minted(spec: google.Adc, _: Given) -> object:
            asked.append(spec.scopes)
            return a_minted(bearer(gcs))

        monkeypatch.setattr(google, "mint_adc", minted)

        mint(specs(), Given())

        assert asked == [(SCOPE,)]

    def test_what_is_older_than_twice_the_ttl_is_deactivated_and_deleted(
        self, gcs: FakeGcsHmac, specs: Specs, given: Given
    ):
        """Nothing younger, and nothing of another account."""
        gcs.plant(2 * DAY + 60)
        gcs.plant(2 * DAY + 60, state="INACTIVE")  # a minter died in between
        kept = {gcs.plant(2 * DAY - 60).id, gcs.plant(DAY).id, gcs.plant(9 * DAY, "other@my-project").id}

        mint(specs(), given)

        assert gcs.done == ["deactivate", "delete", "delete", "create"]
        assert kept < set(gcs.keys)
        assert len(gcs.keys) == len(kept) + 1

    def test_the_keys_of_a_job_that_is_over_are_deleted_at_once(self, gcs: FakeGcsHmac, specs: Specs, given: Given):
        """And what is too old with them; never another account's, whoever names it."""
        spent, other, old = gcs.plant(60), gcs.plant(60, "other@my-project"), gcs.plant(3 * DAY)
        kept = {gcs.plant(60).id, other.id}

        retire(specs(), msgspec.structs.replace(given, spent=(spent.id, other.id, "GOOG1EGONE")))

        assert set(gcs.keys) == kept
        assert old.id not in gcs.keys
        assert gcs.done == ["deactivate", "delete"] * 2

    def test_that_another_minter_deletes_the_same_is_no_error(self, gcs: FakeGcsHmac, specs: Specs, given: Given):
        """Two of them reap at once."""
        old = gcs.plant(3 * DAY)

        def raced(call: Call) -> Answer:
            if call.method == "PUT":
                gcs.keys.pop(old.id, None)
            return gcs.answer(call)

        with Served(raced) as served:
            assert mint(specs(endpoint_url=served.url), given).lifetime > DAY - 5


class TestList:
    def test_a_key_that_stands_on_another_page_is_found(self, gcs: FakeGcsHmac, specs: Specs, given: Given):
        """Google may give a list in parts."""
        gcs.paged = 3
        spent = [gcs.plant(60) for _ in range(MOST)][-1]
        retire(specs(), msgspec.structs.replace(given, spent=(spent.id,)))
        assert spent.id not in gcs.keys

        gcs.plant(60)
        with pytest.raises(Throttled):
            mint(specs(), given)

    @pytest.mark.parametrize(
        "page",
        [
            {"nextPageToken": "for ever"},
            {"nextPageToken": 7},
            {"items": {}},
            {"items": [{}]},
            {"items": [{"accessId": "..", "serviceAccountEmail": ACCOUNT, "timeCreated": OLD, "state": "ACTIVE"}]},
            {"items": [{"accessId": "A", "serviceAccountEmail": ACCOUNT, "timeCreated": "CANARY", "state": "ACTIVE"}]},
        ],
    )
    def test_one_that_makes_no_sense_ends_nothing(self, specs: Specs, given: Given, page: dict[str, object]):
        """Nor does it make anything, or last for ever."""
        asked: list[str] = []

        def told(call: Call) -> Answer:
            asked.append(call.method)
            return Answer(200, json.dumps(page).encode())

        with Served(told) as served, pytest.raises(Malformed) as caught:
            retire(specs(endpoint_url=served.url), given)

        assert set(asked) == {"GET"}
        assert len(asked) <= 10
        assert "CANARY" not in str(caught.value)


class TestRefusals:
    def test_an_account_that_is_full_is_told_before_google_is_asked(self, gcs: FakeGcsHmac, specs: Specs, given: Given):
        """And waited for: a held lease must not be evicted for that."""
        for _ in range(MOST):
            gcs.plant(60)

        with pytest.raises(Throttled, match="has 10 HMAC keys and Google allows 10"):
            mint(specs(), given)

        assert gcs.done == []

    def test_a_token_that_is_not_accepted_may_be_renewed(self, specs: Specs):
        """It is the base's."""
        with pytest.raises(IdentityMissing, match="identity below it") as caught:
            mint(specs(), Given(base=AccessToken(Secret("ya29.nobody"))))

        assert "CANARY" not in str(caught.value)

    def test_a_missing_role_or_scope_is_named(self, gcs: FakeGcsHmac, specs: Specs, given: Given):
        """The two look alike from here."""
        reading = Given(base=bearer(gcs, "https://www.googleapis.com/auth/devstorage.read_only"))
        with pytest.raises(Denied, match=r"hmacKeyAdmin.*full_control"):
            mint(specs(), reading)

        gcs.may_administer = False
        with pytest.raises(Denied, match="hmacKeyAdmin"):
            mint(specs(), given)

    def test_no_such_account(self, gcs: FakeGcsHmac, specs: Specs, given: Given):
        """By the field to correct."""
        gcs.accounts.clear()

        with pytest.raises(Denied, match="correct `service_account`"):
            mint(specs(), given)

    def test_a_base_of_another_cloud_is_refused(self, specs: Specs):
        """The daemon would not give it."""
        with pytest.raises(Denied, match="not Google's"):
            mint(specs(), Given(base=Variables(())))

    @pytest.mark.parametrize(
        "changes",
        [
            {"secret": "a b"},
            {"secret": None},
            {"metadata": {}},
            {"accessId": "a b"},
            {"accessId": ".."},
            {"state": "INACTIVE"},
            {"serviceAccountEmail": "other@my-project.iam.gserviceaccount.com"},
            {"timeCreated": "2020-01-01T00:00:00Z"},
            {"timeCreated": "2999-01-01T00:00:00"},
            {"timeCreated": "now"},
        ],
    )
    def test_what_is_no_key_of_this_account_is_none(
        self, gcs: FakeGcsHmac, specs: Specs, given: Given, changes: dict[str, object]
    ):
        """Whole or not at all."""

        def changed(call: Call) -> Answer:
            answer = gcs.answer(call)
            if call.method != "POST":
                return answer
            members = json.loads(answer.body)
            for name, value in changes.items():
                (members if name in members else members["metadata"])[name] = value
            return Answer(200, json.dumps(members).encode())

        with Served(changed) as served:
            spec = specs(endpoint_url=served.url)
            with pytest.raises(Malformed):
                mint(spec, given)

        known = not {"metadata", "accessId", "serviceAccountEmail"} & set(changes) and changes != {"secret": None}
        assert len(gcs.keys) == (0 if known else 1)  # else each try would leave one, up to ten

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Answer(503), Unreachable),
            (Answer(429), Throttled),
            (Answer(400, b"CANARY"), Denied),
            (Answer(200), Malformed),
        ],
    )
    def test_an_api_that_is_in_trouble_is_told(
        self, specs: Specs, given: Given, answer: Answer, error: type[MintError]
    ):
        """Nothing of it is quoted."""
        with Served(lambda _: answer) as served, pytest.raises(error) as caught:
            mint(specs(endpoint_url=served.url), given)

        assert "CANARY" not in str(caught.value)


class TestWho:
    def test_a_key_that_was_deactivated_is_told(self, gcs: FakeGcsHmac, specs: Specs, given: Given):
        """By the store itself."""
        value = mint(specs(), given).value
        for key in gcs.keys.values():
            key.state = "INACTIVE"

        with pytest.raises(IdentityMissing, match="does not know the access key"):
            who(specs(), value)
