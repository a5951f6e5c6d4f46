"""Where code would run what it reads: pickles, and whatever else makes programs of data. Found in the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOMS = ("firmware_bridge", "edge_runtime", "export", "train", "benchmarks")
_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
_BUILT_IN = {"eval", "exec", "compile", "__import__"}
_NAMES = {"read_pickle", "to_pickle", "loads_pickle", "unsafe_load", "full_load"}
_ONLY_IF = {("torch", "load"): "weights_only"}  # it has to stand there as True
_NEVER = {"allow_pickle": True, "shell": True}  # nor may these stand anywhere


def unsafe(root: Path) -> tuple[int, list[str]]:
    """How many files there are in the rooms, and `file:line: what` of each such place in them."""
    files = [path for room in ROOMS for path in sorted((root / room).rglob("*.py"))]
    return len(files), [
        f"{path.relative_to(root)}:{line}: {what}"
        for path in files
        for line, what in in_source(path.read_text("utf-8"))
    ]


def in_source(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, f"import {n.name}") for n in names if n.name.partition(".")[0] in _MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in _MODULES:
                yield node.lineno, f"from {module}"
            case ast.Call():
                yield from ((node.lineno, what) for what in _in_call(node))


def _in_call(call: ast.Call) -> Iterator[str]:
    given = {word.arg: word.value.value if isinstance(word.value, ast.Constant) else ... for word in call.keywords}
    for word, value in _NEVER.items():
        if word in given and (given[word] is value or given[word] is ...):
            yield f"{word}={'?' if given[word] is ... else value}"
    match call.func:
        case ast.Name(id=name) if name in _BUILT_IN:
            yield f"{name}()"
        case ast.Attribute(attr=name) if name in _NAMES:
            yield f"{name}()"
        case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in _ONLY_IF:
            if given.get(_ONLY_IF[module, name]) is not True:
                yield f"{module}.{name}() without {_ONLY_IF[module, name]}=True"
