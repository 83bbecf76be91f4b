"""What a source is: the one shape that every family fills in, and what the patterns of their specs share. Pure."""

from collections.abc import Callable
from typing import Any

import msgspec

from broker.model import Facts, Given, Kind, Minted, Spec, Value

# Parts of a pattern that a field of a spec may have.
END = r"$(?!\n)"  # Python's $ alone lets a last newline through
TEMPLATE = r"\{(?:caller|hostname|uid|user|group)\}"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of short-lived secret is minted. All functions block and may raise any MintError.

    `mint` and `id_token` give a Minted; `who` asks upstream who a value is (one call, for `check`); `find` says in a
    few words which identity zero configuration would use, or None; `base` is the kind that `from` must name, and
    `needs_base` whether it has to be there: where not, the ambient identity stands in. `retire` ends the keys that are
    `spent` (the `principal` of their facts): those that `check` had made, and of what is made `per_job` a job's, with
    what is left over.
    """

    name: str
    spec: type[Spec]
    mint: Callable[[Any, Given], Minted]
    who: Callable[[Any, Value], Facts]
    base: Kind | None = None
    needs_base: bool = False
    id_token: Callable[[Any, Given], Minted] | None = None
    find: Callable[[Any], str | None] | None = None
    retire: Callable[[Any, Given], None] | None = None
