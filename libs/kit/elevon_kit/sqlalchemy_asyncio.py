"""SQLAlchemy's asynchronous connections without its object mapper, which nothing here uses.

`sqlalchemy.ext.asyncio` brings the mapper along: 8 MiB and 60 ms for every process. Its modules for connections are
imported under a stand-in for that package instead, which is taken away again. Whoever imports the package itself later
gets all of it, with the same classes.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

__all__ = ["AsyncConnection", "AsyncEngine", "create_async_engine"]

_PACKAGE = "sqlalchemy.ext.asyncio"


def _engine_module() -> Any:
    specification = None if _PACKAGE in sys.modules else find_spec(_PACKAGE)
    if specification is None:
        return import_module(f"{_PACKAGE}.engine")
    sys.modules[_PACKAGE] = module_from_spec(specification)
    try:
        return import_module(f"{_PACKAGE}.engine")
    finally:
        del sys.modules[_PACKAGE]


if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
else:
    _module = _engine_module()
    AsyncConnection = _module.AsyncConnection
    AsyncEngine = _module.AsyncEngine
    create_async_engine = _module.create_async_engine
