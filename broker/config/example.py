"""The commented example that `credbroker config example` prints; it stands beside this file and has no mistake."""

from importlib import resources

EXAMPLE = resources.files(__package__).joinpath("example.toml").read_text("utf-8")
