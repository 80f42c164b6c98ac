"""Module of the folder `multiview_folder` beside this one.

`datasets/` is no package: `build.py` makes one of a name of its own, while tests put
the folder itself on the path. Whichever it was, the sibling lies beside this package.
"""

import importlib

_AROUND = __package__.rpartition(".")[0]
_PREFIX = f"{_AROUND}." if _AROUND else ""

films = importlib.import_module(f"{_PREFIX}multiview_folder.films")
