import pwd

import pytest

from broker.config.callers import API_AUDIENCES, uid_of
from broker.config.shape import CallerEntry, Pods, Rule
from tests.config.toy import config, mistakes

BASE = "[credentials.a]\nsource = 'aws-session'\n[credentials.b]\nsource = 'gcp-adc'\n[callers.x]\n"


def caller(text: str) -> CallerEntry:
    (found,) = config(BASE + text).callers
    return found


def told(text: str) -> list[str]:
    return [mistake.removeprefix("config.toml:6 [callers.x] ") for mistake in mistakes(BASE + text)]


class TestReadCaller:
    def test_reads_every_key(self):
        """As the contract writes them."""
        found = caller(
            """
            any = [{ uid = "trainer" }, { group = "vision" }, { uid = 0 }]
            grants = ["b", "a"]
            issuers = ["alice"]
            allow_root = true
            bare = true
            """
        )

        assert found == CallerEntry(
            name="x",
            rules=(Rule(uid=1001), Rule(group="vision"), Rule(uid=0)),
            grants=("b", "a"),
            issuers=("alice",),
            allow_root=True,
            bare=True,
        )

    @pytest.mark.parametrize(
        ("text", "rules"),
        [
            ("uid = 'alice'", (Rule(uid=1000),)),
            ("uid = 4294967294", (Rule(uid=4_294_967_294),)),
            ("group = 'vision'", (Rule(group="vision"),)),
            ("worker_token = true", ()),
        ],
    )
    def test_one_way_to_match_may_stand_by_itself(self, text: str, rules: tuple[Rule, ...]):
        """Without a list around it."""
        assert caller(text).rules == rules
        assert caller(text).worker_token == (not rules)

    def test_rules_may_be_tables_of_their_own(self):
        """TOML's other way to write a list of tables."""
        assert caller("[[callers.x.any]]\nuid = 5\n[[callers.x.any]]\ngroup = 'g'").rules == (
            Rule(uid=5),
            Rule(group="g"),
        )

    @pytest.mark.parametrize("name", ["", "a b", ".a", "x" * 65])
    def test_a_name_is_what_a_label_can_hold(self, name: str):
        """As a credential's."""
        (mistake,) = mistakes(f'[callers."{name}"]\nuid = 5')

        assert mistake.endswith(
            ": a name has 1 to 64 letters, digits, dots, underscores, at signs or hyphens, and no dot first"
        )

    @pytest.mark.parametrize("text", ["grants = ['a']", "worker_token = false"])
    def test_a_caller_that_nobody_can_be_is_a_mistake(self, text: str):
        """Its grants would do nothing, in silence."""
        (mistake,) = told(text)

        assert "[callers.x]: say who it is" in mistake

    @pytest.mark.parametrize("text", ["uid = 5", "any = [{ group = 'g' }]"])
    def test_a_token_caller_is_one_that_nothing_else_matches(self, text: str):
        """So the contract says; tokens may be issued for any caller anyway."""
        (mistake,) = told(f"worker_token = true\n{text}")

        assert mistake.startswith("worker_token: is for a caller that nothing else matches")

    @pytest.mark.parametrize(
        ("text", "mistake"),
        [
            ("grnats = ['a']\nuid = 5", "grnats: unknown key; did you mean `grants`?"),
            ("any = [{ uuid = 5, uid = 5 }]", "any[0].uuid: unknown key; did you mean `uid`?"),
            ("grants = 'a'\nuid = 5", "grants: must be a list, each item text that is not empty"),
            ("bare = 'no'\nuid = 5", "bare: must be true or false"),
            ("uid = -1", "uid: must be a whole number, 0 to 4294967294 or text that is not empty"),
            ("uid = true", "uid: must be a whole number, 0 to 4294967294 or text that is not empty"),
            ("group = 5", "group: must be text that is not empty"),
            ("any = []", "any: must be a list that is not empty, each item a table"),
            ("any = [5]", "any[0]: must be a list that is not empty, each item a table"),
            ("any = [{}]", 'any[0]: needs uid = "...", group = "..." or kubernetes = {...}'),
        ],
    )
    def test_each_key_is_held_to_its_type(self, text: str, mistake: str):
        """And told in words."""
        assert told(text) == [mistake]

    @pytest.mark.parametrize("text", ["uid = 6", "group = 'g'", "kubernetes = {}"])
    def test_a_rule_beside_the_list_is_a_mistake(self, text: str):
        """It is not clear whether both must match."""
        mistake = "any: stands beside uid, group or kubernetes; put those into it"

        assert told(f"any = [{{ uid = 5 }}]\n{text}") == [mistake]

    @pytest.mark.parametrize(
        ("text", "place"), [("uid = 5\ngroup = 'g'", ""), ("any = [{ uid = 5, group = 'g' }]", "any[0].")]
    )
    def test_uid_and_group_together_are_a_mistake(self, text: str, place: str):
        """Likewise."""
        (mistake,) = mistakes(BASE + text)

        assert f"[callers.x] {place}group: stands beside uid" in mistake


class TestKubernetes:
    NEEDS = "needs namespace, service_account, audience"
    PODS = "{ namespace = 'ml', service_account = 'trainer.gpu', audience = 'https://credbroker' }"

    def test_names_a_service_account_and_an_audience(self):
        """By itself, or as one of several ways."""
        pods = Rule(kubernetes=Pods("ml", "trainer.gpu", "https://credbroker"))

        assert caller(f"kubernetes = {self.PODS}").rules == (pods,)
        assert caller(f"any = [{{ uid = 5 }}, {{ kubernetes = {self.PODS} }}]").rules == (Rule(uid=5), pods)

    @pytest.mark.parametrize(
        ("inside", "mistake"),
        [
            ("", f"kubernetes: {NEEDS}; missing: namespace, service_account, audience"),
            ("namespace = 'a', audience = 'b'", f"kubernetes: {NEEDS}; missing: service_account"),
            ("namespace = 'a', service_account = 'b', audience = 'c', pod = 'd'", "kubernetes.pod: unknown key"),
            ("namespace = 'A', service_account = 'b', audience = 'c'", "kubernetes.namespace: must be text such as ml"),
            (
                "namespace = 'a.b', service_account = 'b', audience = 'c'",
                "kubernetes.namespace: must be text such as ml",
            ),
            (
                f"namespace = '{'a' * 64}', service_account = 'b', audience = 'c'",
                "kubernetes.namespace: must be text such as ml",
            ),
            (
                "namespace = 'a', service_account = '*', audience = 'c'",
                "kubernetes.service_account: must be text of at most 253 characters such as trainer",
            ),
            (
                "namespace = 'a', service_account = 'b', audience = ''",
                "kubernetes.audience: must be text of at most 256 characters such as credbroker",
            ),
            (
                "namespace = 'a', service_account = 'b', audience = ['c']",
                "kubernetes.audience: must be text of at most 256 characters such as credbroker",
            ),
        ],
    )
    def test_each_mistake_has_its_place(self, inside: str, mistake: str):
        """Nothing may stand for everything, and nothing is left out in silence."""
        assert told(f"kubernetes = {{ {inside} }}") == [mistake]
        assert told(f"any = [{{ kubernetes = {{ {inside} }} }}]") == [f"any[0].{mistake}"]

    @pytest.mark.parametrize("value", ["true", "'ml/trainer'", "[]"])
    def test_it_is_a_table(self, value: str):
        """And a mistake once, not once for each key."""
        assert told(f"kubernetes = {value}") == ["kubernetes: must be a table"]

    @pytest.mark.parametrize("audience", sorted(API_AUDIENCES))
    def test_the_api_servers_own_audience_is_refused(self, audience: str):
        """A pod that showed such a token would hand over what the pod may do in its cluster."""
        (mistake,) = told(f"kubernetes = {{ namespace = 'a', service_account = 'b', audience = '{audience}' }}")

        assert mistake.startswith("kubernetes.audience: is the API server's own audience")

    @pytest.mark.parametrize("text", ["uid = 5", "group = 'g'"])
    def test_it_stands_beside_no_other_way(self, text: str):
        """It is not clear whether both must match."""
        (mistake,) = mistakes(f"{BASE}{text}\nkubernetes = {self.PODS}")

        assert f"[callers.x] kubernetes: stands beside {text.partition(' ')[0]}; write any = [" in mistake

    def test_a_pod_is_no_token_caller(self):
        """So the contract says of every other way."""
        (mistake,) = told(f"worker_token = true\nkubernetes = {self.PODS}")

        assert mistake.startswith("worker_token: is for a caller that nothing else matches")


class TestRoot:
    @pytest.mark.parametrize(("text", "place"), [("uid = 0", "uid"), ("any = [{ uid = 'root' }]", "any[0].uid")])
    def test_root_is_only_meant_if_it_is_said(self, text: str, place: str):
        """Many programs run as root without thinking of it."""
        (mistake,) = told(text)

        assert mistake.startswith(f"{place}: is root")
        assert mistake.endswith("add allow_root = true if it is meant")
        assert told(f"{text}\nallow_root = true") == []


class TestUsers:
    def test_an_unknown_user_is_a_mistake(self):
        """A misspelt name would match nobody, in silence."""
        assert told("uid = 'trianer'") == ["uid: there is no such user on this machine"]

    def test_a_number_in_quotes_is_told_apart(self):
        """The usual slip."""
        assert told("uid = '1000'") == [
            "uid: there is no such user on this machine; a number is written without quotes"
        ]

    def test_names_are_looked_up_on_this_machine(self):
        """Whatever its users are."""
        somebody = pwd.getpwall()[0]

        assert uid_of(somebody.pw_name) == somebody.pw_uid
        assert uid_of("no such user") is None
