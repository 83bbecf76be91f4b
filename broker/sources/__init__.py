"""The one table of sources. A new cloud is one file beside this one and its lines here.

Specs are plain data and may be imported anywhere. Mint functions import their cloud SDK inside themselves and run only
in a minter process.
"""

from broker.sources import aws, google, private_env
from broker.sources.source import Source

TABLE: dict[str, Source] = {source.name: source for source in (*aws.SOURCES, *google.SOURCES, *private_env.SOURCES)}

__all__ = ["TABLE", "Source"]
