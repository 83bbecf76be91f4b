import pytest

from broker.config.templates import facts_in, faults
from broker.plan import _render


def texts(value: object) -> list[str]:
    return [text for _, text in faults(value)]


class TestFaults:
    @pytest.mark.parametrize("text", ["", "plain", "{caller}-{hostname}.{uid}.{user}.{group}", "x{caller}{caller}"])
    def test_the_five_names_are_right(self, text: str):
        """All that `plan` can fill in."""
        assert texts(text) == []

    def test_a_misspelt_name_gets_a_suggestion(self):
        """The usual slip."""
        assert texts("{calller}") == ["has an unknown template; did you mean {caller}?"]

    @pytest.mark.parametrize("text", ["{nonsense}", "{}", "{ caller }x", "{aws:username}"])
    def test_any_other_name_is_a_mistake(self, text: str):
        """It would reach the cloud as it stands."""
        (fault,) = texts(text)

        assert fault.startswith("has an unknown template")

    @pytest.mark.parametrize("text", ["{", "}", "{caller", "caller}", "{caller}}", "{{caller}"])
    def test_a_brace_without_its_partner_is_a_mistake(self, text: str):
        """Half a template is none."""
        assert texts(text) == ["has a brace without its partner; a template is written {caller}"]

    @pytest.mark.parametrize(
        "text",
        [
            "arn:aws:s3:::b/${aws:username}/*",
            "${aws:PrincipalTag/team, 'none'}",
            "${*}${?}${$}",
            "${s3:prefix}{caller}",
        ],
    )
    def test_an_iam_policy_variable_is_left_alone(self, text: str):
        """AWS fills it in."""
        assert texts(text) == []

    @pytest.mark.parametrize("name", ["aws:username", "aws:PrincipalTag/caller", "*", "s3:user"])
    def test_what_is_left_alone_here_is_left_alone_when_rendered(self, name: str):
        """Both rooms draw the same line."""
        facts: dict[str, str | None] = dict.fromkeys(("caller", "hostname", "uid", "user", "group"), "x")

        assert _render(f"${{{name}}}", facts, "here") == f"${{{name}}}"

    @pytest.mark.parametrize("text", ["${caller}", "${HOME}", "${}"])
    def test_a_dollar_sign_does_not_excuse_a_template(self, text: str):
        """A shell's habit: it would be rendered with the dollar left over."""
        (fault,) = texts(text)

        assert "dollar" in fault

    def test_the_way_to_each_fault_is_told(self):
        """A policy is deep; keys are looked at too."""
        value = {"Statement": [{"Resource": ["{user}", "{usr}"]}], "{grp}": 1}

        assert [steps for steps, _ in faults(value)] == [("Statement", 0, "Resource", 1), ("{grp}",)]

    def test_the_same_fault_in_one_text_is_told_once(self):
        """One line is enough."""
        assert len(texts("{calller}{calller}")) == 1


class TestFactsIn:
    def test_finds_them_at_any_depth(self):
        """What a credential asks of its caller decides when it can be minted."""
        assert facts_in({"a": ["{uid}", {"{caller}": "{group}-{uid}"}], "b": 3}) == {"uid", "caller", "group"}
