"""One fresh process of the bench: start, load, first report, and then many: `child.py SPAWNED JOB` writes JSON.

SPAWNED: the system's monotonic clock when whoever asked started this process.
"""

import time

STARTED = time.monotonic()

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402


def main(spawned: float, job: dict[str, Any]) -> dict[str, Any]:
    """job: bundle and wire (paths), board, backend, form, warm_up and reports (how many); kept: where reports go."""
    import edge_runtime.run  # all that `leadwire run` imports

    imported = time.monotonic()
    from edge_runtime.backends import open_backend
    from edge_runtime.bench.heart import read_wire
    from edge_runtime.bench.nets import bundle_of
    from edge_runtime.bench.probe import POST, SINK, Probe, TimedNet, first_calls
    from edge_runtime.monitor import Monitor
    from edge_runtime.sinks.jsonl import JsonLines
    from edge_runtime.stream import Stream
    from edge_runtime.vitals import resident_mb
    from firmware_bridge.receiver import Receiver

    begin = time.monotonic()
    bundle = bundle_of(Path(job["bundle"]), job["form"])
    with first_calls("edge_runtime.backends") as asked:
        backend = open_backend(bundle, job["backend"])
    first_s, loaded = sum(asked), time.monotonic()

    pieces = read_wire(Path(job["wire"]))
    probe = Probe()
    with probe.installed():
        net = TimedNet(backend, probe)
        stream = Stream(Receiver(edge_runtime.run.board_named(job["board"])), Monitor(bundle.model, net, "bench"))
        sink = JsonLines.open(job["kept"])
        handle = probe.timed(POST, lambda *event: list(stream.handle(*event)))
        write = probe.timed(SINK, sink.write)
        handle("opened", 0.0)
        rows: list[dict[str, float]] = []
        wanted, first_row, processor_s = 1 + job["warm_up"] + job["reports"], 1 + job["warm_up"], 0.0
        for arrival_s, data in pieces:
            if len(rows) == wanted:
                break
            for report in handle("data", arrival_s, data):
                write(report)
                spent = probe.take()
                if net.asked:  # a window that is not full yet asks nothing of the net
                    rows.append(spent)
                    if len(rows) == first_row:
                        processor_s = time.process_time()
        processor_s = time.process_time() - processor_s
        sink.close()
    kept = rows[first_row:]
    memory = resident_mb()
    return {
        "cold_ms": {
            "interpreter": _ms(STARTED - spawned),
            "import": _ms(imported - STARTED),
            "load": _ms(loaded - begin - first_s),
            "first_inference": _ms(first_s),
            "first_report": round(sum(rows[0].values()), 4) if rows else None,
        },
        "stages_ms": {stage: [round(row[stage], 4) for row in kept] for stage in probe.spent_ns},
        "processor_s": round(processor_s, 6),
        "signal_s": len(kept) * stream.monitor.hop_s,
        "peak_memory_mb": memory and memory[1],
    }


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 4)


if __name__ == "__main__":
    from edge_runtime.errors import LeadwireError

    try:
        print(json.dumps(main(float(sys.argv[1]), json.loads(sys.argv[2]))))
    except LeadwireError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
