"""MosaicML Streaming's own storage modules, `download` and `upload`, byte for byte as its wheel brings them.

Its packages import torch, and numpy, which storage never touches and which are gigabytes: while its modules are
imported, empty stand-ins with the few names that an import asks for are in their place, and the packages above are bare
folders, so that only storage and what it imports is run. Afterwards the stand-ins are gone again.
"""

import importlib.util
import sys
import types

STAND_INS = {
    "numpy": {},
    "torch": {"Tensor": object},
    "torch.distributed": {},
    "torch.utils": {},
    "torch.utils.data": {"get_worker_info": None},
}
BARE = {
    "streaming": {},
    "streaming.base": {},
    "streaming.base.format": {},
    "streaming.base.shared": {"SharedMemory": None},
}


def module(name, path, names):
    made = types.ModuleType(name)
    made.__path__ = path
    made.__dict__.update(names)
    sys.modules[name] = made
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, made)


(installed,) = importlib.util.find_spec("streaming").submodule_search_locations
for name, names in STAND_INS.items():
    module(name, [], names)
for name, names in BARE.items():
    module(name, ["/".join([installed, *name.split(".")[1:]])], names)

from streaming.base.storage import download, upload  # noqa

for name in STAND_INS:
    del sys.modules[name]
