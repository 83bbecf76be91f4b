"""The minter: a separate process that loads the cloud SDKs and can read the long-lived identity."""
