"""Runs a file as a notebook runs a cell: its functions belong to `__main__` and to no file, and yet have a source."""

import linecache
import sys
from pathlib import Path

source = Path(sys.argv.pop(1)).read_text()
linecache.cache["<cell>"] = (len(source), None, source.splitlines(keepends=True), "<cell>")
main = sys.modules["__main__"]
del main.__file__
exec(compile(source, "<cell>", "exec"), vars(main))  # as a notebook does
