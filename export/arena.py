"""Where in one block of memory each intermediate tensor of an int8 graph lies, and how large the block has to be.

A tensor lives from the step that writes it to the last that reads it. An ADD writes over its first operand where
nothing reads that later. Tensors are placed by size, the largest first, each at the lowest place that is free for as
long as it lives (as TFLite Micro's GreedyMemoryPlanner does).
"""

from __future__ import annotations

from dataclasses import dataclass

from export.int8_graph import Add, Graph

ALIGNED = 4  # bytes


@dataclass(frozen=True)
class Arena:
    """offsets: bytes, by tensor index. least: what the step with the most live tensors takes, whatever the plan."""

    offsets: dict[int, int]
    size: int
    least: int


@dataclass
class _Block:
    """Memory that one tensor has, or several in turn."""

    size: int
    first: int
    last: int
    offset: int = 0

    def meets(self, other: _Block) -> bool:
        return self.first <= other.last and other.first <= self.last


def plan(graph: Graph) -> Arena:
    elsewhere = {graph.window.index, *(head.index for head in graph.heads.values())}  # the caller's
    last = {tensor.index: i for i, step in enumerate(graph.steps) for tensor in step.reads}
    block_of: dict[int, _Block] = {}
    for i, step in enumerate(graph.steps):
        y = step.y.index
        if y in elsewhere:
            continue
        until = last.get(y, i)
        if isinstance(step, Add) and step.a.index in block_of and last[step.a.index] == i:
            block_of[y] = block_of[step.a.index]
            block_of[y].last = until
        else:
            size = -(-step.y.size // ALIGNED) * ALIGNED
            block_of[y] = _Block(size, i, until)
    blocks = list({id(block): block for block in block_of.values()}.values())
    placed: list[_Block] = []
    for block in sorted(blocks, key=lambda b: (-b.size, b.first)):
        for other in sorted((p for p in placed if p.meets(block)), key=lambda p: p.offset):
            if block.offset + block.size <= other.offset:
                break
            block.offset = max(block.offset, other.offset + other.size)
        placed.append(block)
    steps = range(len(graph.steps))
    return Arena(
        offsets={index: block.offset for index, block in block_of.items()},
        size=max((b.offset + b.size for b in blocks), default=0),
        least=max((sum(b.size for b in blocks if b.first <= i <= b.last) for i in steps), default=0),
    )
