"""credbroker: short-lived cloud credentials for unchanged worker processes."""

__version__ = "0.1.0"
