"""What one inference of a net takes, counted on its graph: no machine is in these numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from export.fold import folded
from train.codings import CODINGS
from train.nets import Net


def cost(net: Net, samples: int) -> dict[str, Any]:
    """Of one window, batch norm folded: multiply-accumulates, operations by kind, parameters, and the bytes that the
    largest set of activations that must be held at once takes at int8 (an interpreter's arena is larger)."""
    plain = folded(net)
    traced = fx.symbolic_trace(plain)
    ShapeProp(traced).propagate(torch.zeros(1, CODINGS[net.spec.coding].channels, 1, samples))
    macs, kinds = 0, Counter[str]()
    sizes: dict[fx.Node, int] = {}
    for node in traced.graph.nodes:
        sizes[node] = _bytes(node)
        if node.op == "call_module":
            module = traced.get_submodule(str(node.target))
            if isinstance(module, nn.Conv2d):
                macs += sizes[node] * module.weight[0].numel()
            kinds[type(module).__name__.lower()] += 1
        elif node.op == "call_function":
            kinds[getattr(node.target, "__name__", str(node.target))] += 1
    for nothing in ("identity", "dropout"):  # in a net that infers
        kinds.pop(nothing, None)
    return {
        "macs": macs,
        "operations": dict(sorted(kinds.items())),
        "parameters": sum(p.numel() for p in plain.parameters()),
        "peak_activation_bytes": _peak(traced.graph, sizes),
    }


def _bytes(node: fx.Node) -> int:
    """Of its result at int8; a view and a tuple hold nothing of their own."""
    meta = node.meta.get("tensor_meta")
    return int(torch.Size(meta.shape).numel()) if meta is not None and hasattr(meta, "shape") else 0


def _peak(graph: fx.Graph, sizes: dict[fx.Node, int]) -> int:
    """The largest sum of results that are still to be read while a node runs, its own among them."""
    order = {node: i for i, node in enumerate(graph.nodes)}
    until = {node: max((order[user] for user in node.users), default=i) for node, i in order.items()}
    return max(sum(sizes[n] for n, i in order.items() if i <= now <= until[n]) for now in order.values())
