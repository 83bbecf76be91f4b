"""What no variable hides is said."""

from pathlib import Path

from broker.worker_env import applied, warnings, worker_environment
from tests.worker_env.workers import WORKER

ENVIRON = applied(worker_environment(WORKER, {}), {})


def with_adc(home: Path) -> Path:
    folder = home / ".config" / "gcloud"
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text("{}")
    return home


class TestWarnings:
    def test_an_adc_file_under_home_is_named_with_the_way_out(self, tmp_path: Path):
        """Rust's object_store looks nowhere else and uses it first."""
        (warning,) = warnings(ENVIRON, str(with_adc(tmp_path)))

        assert str(tmp_path) in warning
        assert "--private-home" in warning

    def test_an_empty_home_is_no_reason(self, tmp_path: Path):
        """As --private-home gives it."""
        assert warnings(ENVIRON, str(tmp_path)) == ()

    def test_keys_under_home_are_named_for_who_reads_them_all_the_same(self, tmp_path: Path):
        """Its own code looks there whatever AWS_SHARED_CREDENTIALS_FILE says."""
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws" / "credentials").write_text("[default]\n")

        (warning,) = warnings(ENVIRON, str(tmp_path))

        assert "polars" in warning
        assert "--private-home" in warning

    def test_a_worker_without_google_may_use_its_own(self, tmp_path: Path):
        """Nothing is shadowed."""
        assert warnings({}, str(with_adc(tmp_path))) == ()

    def test_what_the_variables_cover_is_not_mentioned(self, tmp_path: Path):
        """A warning each time is read no time."""
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws" / "config").write_text("[default]\n")
        (tmp_path / ".boto").write_text("[Credentials]\n")

        assert warnings(ENVIRON, str(tmp_path)) == ()
