"""TOML to dataclasses. A key that is not known is refused, so that a typing error is never a silent default."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from edge_runtime.errors import UsageError

T = TypeVar("T")
_EXPECTED = {int: "int", str: "str", bool: "true or false", float: "a number", Path: "a path"}


def read_toml(path: Path) -> dict[str, Any]:
    """Raises UsageError for a file that is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a config with --config") from error
    except (ValueError, RecursionError) as error:  # tomllib's own, no UTF-8, and a number of too many digits
        raise UsageError(f"{path}: no TOML ({error})") from error


def build(kind: type[T], values: Mapping[str, Any], name: str, prefix: str = "") -> T:
    """The dataclass of these values. name: of the file; prefix: where in it. Raises UsageError, naming the key."""
    hints, known = get_type_hints(kind), {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise UsageError(f"{name}: unknown key '{prefix}{key}'; known are {', '.join(known)}")
    missing = [k for k, f in known.items() if k not in values and f.default is MISSING and f.default_factory is MISSING]
    if missing:
        raise UsageError(f"{name}: key '{prefix}{missing[0]}' is missing")
    return kind(**{key: _value(hints[key], value, name, f"{prefix}{key}") for key, value in values.items()})


def _value(hint: Any, value: Any, name: str, key: str) -> Any:
    if get_origin(hint) in (Union, UnionType):
        if value is None:
            return None
        (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
    if is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if not isinstance(value, dict):
            raise UsageError(f"{name}: '{key}' must be a table")
        return build(hint, value, name, f"{key}.")
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise UsageError(f"{name}: '{key}' must be a table")
        return {each: _value(get_args(hint)[1], one, name, f"{key}.{each}") for each, one in value.items()}
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{name}: '{key}' must be a list, not {value!r}")
        return tuple(_value(get_args(hint)[0], one, name, key) for one in value)
    accepted = {float: (int, float), Path: (str, Path)}.get(hint, hint)
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise UsageError(f"{name}: '{key}' must be {_EXPECTED.get(hint, hint)}, not {value!r}")
    return Path(value) if hint is Path else value
