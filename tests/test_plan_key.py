"""The key of a lease: the whole rendered spec, its base included, and never the role alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.model import CallerFacts
from tests.made import TRAIN, a_book, a_role, a_session, an_adc, an_hmac

FACTS = CallerFacts(caller="trainer", uid="1000", user="alice", group="vision")


class TestKey:
    @pytest.mark.parametrize(
        "change",
        [
            {"role_arn": TRAIN + "2"},
            {"external_id": "x2"},
            {"policy": {"Effect": "Deny"}},
            {"policy_arns": ("arn:aws:iam::aws:policy/ReadOnlyAccess",)},
            {"tags": {"team": "vision"}},
            {"tags": {"team": "vision"}, "transitive_tags": ("team",)},
            {"source_identity": "alice"},
            {"duration": 900},
            {"region": "eu-west-1"},
            {"sts_regions": ("eu-west-1",)},
            {"endpoint_url": "https://sts.example"},
            {"session_name": "other"},
            {"profile": "prod"},
            {"mfa_serial": "arn:aws:iam::123456789012:mfa/alice"},
        ],
        ids="+".join,
    )
    def test_it_is_the_whole_spec(self, change: dict[str, Any]):
        """Never the role alone: two sessions of one role may differ in all that they may do."""
        plain, changed = (a_book(a_role(**more)).rendered("train", FACTS) for more in ({}, change))

        assert plain.key != changed.key

    def test_it_is_the_job_where_each_has_its_own(self):
        """And only there: all others are shared."""
        book = a_book(a_role(), an_hmac())
        facts = [CallerFacts(caller="trainer", job=job) for job in (None, "1", "2")]

        assert len({book.rendered("hmac", one).key for one in facts}) == 3
        assert len({book.rendered("train", one).key for one in facts}) == 1

    def test_it_is_the_base_too(self):
        """The same role from another identity is another session."""
        books = [a_book(a_session("base", profile=profile), a_role(base="base")) for profile in (None, "prod", "test")]

        assert len({book.rendered("train", FACTS).key for book in books}) == 3

    def test_it_is_the_base_of_the_base(self):
        """However long the chain."""
        books = [
            a_book(a_session("a", profile=profile), a_role("b", base="a"), a_role("c", base="b"), a_role(base="c"))
            for profile in (None, "prod")
        ]

        assert len({book.rendered("train", FACTS).key for book in books}) == 2

    def test_a_long_chain_has_no_monstrous_key(self):
        """It grows by a link a link, not by a doubling."""
        links = [a_role(f"r{n}", base=f"r{n - 1}") for n in range(1, 25)]
        book = a_book(a_session("r0"), *links)

        assert len(book.rendered("r24", FACTS).key) < 25 * 1000

    def test_it_is_the_source_too(self):
        """A spec of two sources could read alike."""
        one, other = a_session("same"), an_adc("same")

        assert a_book(one).rendered("same", FACTS).key != a_book(other).rendered("same", FACTS).key

    def test_it_is_the_name_too(self):
        """Twins may differ in who may be handed the daemon's own session: one must not be served for the other."""
        book = a_book(a_session("shared", share_identity=True), a_session("private"))

        assert book.rendered("shared", FACTS).key != book.rendered("private", FACTS).key

    def test_it_is_the_audience_too(self):
        """An ID token for one service opens no other."""
        book = a_book(an_adc(audiences=("one", "two")))
        keys = [book.rendered("data", FACTS, audience).key for audience in (None, "one", "two")]

        assert len(set(keys)) == 3

    def test_the_order_of_keys_in_tables_is_irrelevant(self):
        """A file that was only tidied up keeps its leases."""
        tidy = a_role(policy={"A": 1, "B": {"C": 2, "D": 3}}, tags={"x": "1", "y": "2"})
        wild = a_role(policy={"B": {"D": 3, "C": 2}, "A": 1}, tags={"y": "2", "x": "1"})

        assert a_book(tidy).rendered("train", FACTS).key == a_book(wild).rendered("train", FACTS).key

    def test_the_order_of_a_list_is_not(self):
        """Statements, regions and tags to keep come in an order that may matter."""
        books = [a_book(a_role(sts_regions=regions)) for regions in (("a1", "b1"), ("b1", "a1"))]

        assert len({book.rendered("train", FACTS).key for book in books}) == 2

    def test_callers_share_what_renders_alike_for_them(self):
        """One lease, one mint: a template that is not there separates nobody."""
        plain, named = a_book(a_role()), a_book(a_role(session_name="{caller}"))
        others = [CallerFacts(caller="trainer", uid="1"), CallerFacts(caller="other", uid="2")]

        assert len({plain.rendered("train", facts).key for facts in others}) == 1
        assert len({named.rendered("train", facts).key for facts in others}) == 2

    @settings(deadline=None)
    @given(st.text("ab", min_size=1, max_size=3), st.text("ab", min_size=1, max_size=3))
    def test_two_values_are_two_keys(self, one: str, other: str):
        """No way to run two fields into one another."""
        book = a_book(a_role(session_name="x{user}", source_identity="x{group}x"))
        both = [
            book.rendered("train", CallerFacts(caller="c", user=user, group=group)).key
            for user, group in ((one, other), (other, one))
        ]

        assert (both[0] == both[1]) == (one == other)
