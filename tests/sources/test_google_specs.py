from typing import Any

import msgspec
import pytest

from broker.model import Kind
from broker.sources.google import Adc, Impersonate
from tests.fakes.google.place import TRAIN

READ = "https://www.googleapis.com/auth/devstorage.read_only"
AUDIENCE = "https://service.example"


class TestSpecs:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"scopes": [READ], "audiences": [AUDIENCE], "project": "p", "quota_project": "q", "file": "key.json"},
            {"endpoint_url": "https://iam.example", "lifetime": 43200},
        ],
    )
    def test_adc_takes_what_the_contract_names(self, fields: dict[str, Any]):
        """Every key of it."""
        assert msgspec.convert(fields, Adc).kind is Kind.GOOGLE

    @pytest.mark.parametrize(
        "fields",
        [
            {"scopes": []},
            {"scopes": ["two words"]},
            {"scopes": [""]},
            {"lifetime": 59},
            {"lifetime": 43201},
            {"endpoint_url": "iam.example"},
            {"endpoint_url": "https://iam.example/v1"},
            {"project": "a/b"},
            {"file": ""},
            {"service_account": TRAIN},
        ],
    )
    def test_what_cannot_be_meant_is_a_mistake(self, fields: dict[str, Any]):
        """Better when reading than when minting."""
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(fields, Adc)

    @pytest.mark.parametrize(
        "email", [TRAIN, "{user}@my-project.iam.gserviceaccount.com", "x@p.example.com.iam.gserviceaccount.com"]
    )
    def test_a_service_account_may_be_a_template(self, email: str):
        """One for each user, rendered later and held against the same limits."""
        assert msgspec.convert({"service_account": email}, Impersonate).service_account == email

    @pytest.mark.parametrize(
        "email", ["train", "a/b@p.example", "a@b@p.example", "a@p.example:generateIdToken", "@p.example", ""]
    )
    def test_a_service_account_is_an_email(self, email: str):
        """It becomes a part of a URL."""
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"service_account": email}, Impersonate)

    def test_a_plain_endpoint_must_be_on_this_machine(self):
        """A bearer token is shown to it."""
        assert Adc(endpoint_url="http://127.0.0.1:8080").mistakes() == ()
        assert Adc(endpoint_url="https://iam.example").mistakes() == ()
        assert [field for field, _ in Adc(endpoint_url="http://iam.example").mistakes()] == ["endpoint_url"]
        assert Adc().mistakes() == ()

    def test_lifetimes_are_durations_and_files_are_paths(self):
        """The configuration's reader goes by the units that the types declare."""
        units = {
            field.name: unit
            for field in msgspec.structs.fields(Impersonate) + msgspec.structs.fields(Adc)
            for unit in ("seconds", "path")
            if f"'unit': '{unit}'" in str(field.type)
        }

        assert units == {"lifetime": "seconds", "file": "path"}
