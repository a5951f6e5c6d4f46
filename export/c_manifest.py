"""The manifest as C constants: what firmware has to know of a net, and nothing that only a reader wants.

The names are the manifest's. Whatever is a number of the net's own (a probability, a weight) is a float.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from edge_runtime.bundle import Bundle
from export.int8_graph import Graph, Tensor

PREFIX = "LEADWIRE_NET_"


def header(bundle: Bundle, graph: Graph, ram_bytes: int) -> str:
    """`leadwire_net.h`."""
    return "\n".join([*_opening(bundle), *_numbers(bundle, graph, ram_bytes), *_api(bundle, graph)]) + "\n"


def _opening(bundle: Bundle) -> Iterator[str]:
    said = bundle.manifest["card"].replace("*/", "* /").splitlines()
    yield f"/* {bundle.model.id}".replace("*/", "* /")
    yield " * Written by `python -m export c`. Not to be edited: export it again."
    yield " *"
    yield from (f" * {line}" for text in said for line in textwrap.wrap(text, 116))
    yield " */"
    yield f"#ifndef {PREFIX}H\n#define {PREFIX}H\n\n#include <stdint.h>\n"
    yield '#ifdef __cplusplus\nextern "C" {\n#endif\n'


def _numbers(bundle: Bundle, graph: Graph, ram_bytes: int) -> Iterator[str]:
    model, conditioning, grid = bundle.model, bundle.model.conditioning, bundle.model.grid
    yield _define("ID", _text(model.id))
    yield _define("ALLOWED", _text("; ".join(bundle.manifest["allowed"])), "gates that were let pass; mostly none")
    yield _define("RAM_BYTES", ram_bytes, "arena and patches, static; the heads are the caller's")
    yield "\n/* The window that the net sees, and how it is made of raw samples (edge_runtime/conditioning.py). */"
    yield _define("SAMPLES", model.samples)
    yield _define("WINDOW_S", _float(model.window_s))
    yield _define("SAMPLING_RATE_HZ", _float(conditioning.sampling_rate_hz))
    for name in ("high_pass_edges_hz", "low_pass_edges_hz"):
        low, high = getattr(conditioning, name)
        yield _define(name.upper(), f"{{{_float(low)}, {_float(high)}}}", "a raised cosine from one to the other")
    yield _define("REFLECT_S", _float(conditioning.reflect_s), "at each end, before the band is taken")
    yield _define("COMPAND_MV", _float(conditioning.compand_mv), "the net sees asinh(mV / this)")
    yield _define("MAX_BRIDGED_MS", _float(model.max_bridged_ms), "longer gaps are not interpolated")
    yield "\n/* Step j of the masks lies (j - margin) / rate seconds behind the window's start. */"
    yield _define("MASK_STEPS", grid.length)
    yield _define("MASK_MARGIN", grid.margin)
    yield _define("MASK_RATE_HZ", _float(grid.sampling_rate_hz))
    yield _enum("WAVE", bundle.manifest["heads"]["masks"]["waves"])
    yield "\n/* Probabilities from which it is said that there are P waves, a rhythm, that the heart rate is right. */"
    for name, threshold in model.thresholds.items():
        yield _define(f"{name}_threshold".upper(), _float(threshold))
    yield "\n/* A head's value is (q - ZERO) * SCALE; below the numbers of its entries. */"
    for name, tensor in {"input": graph.window, **_heads(bundle, graph)}.items():
        yield _define(f"{name}_scale".upper(), _float(tensor.scale))
        yield _define(f"{name}_zero".upper(), tensor.zero)
    yield _enum("RHYTHM", model.classes)
    yield _enum("FINDING", list(model.findings))
    yield _enum("TARGET", list(model.targets))


def _api(bundle: Bundle, graph: Graph) -> Iterator[str]:
    ranges = bundle.manifest["range_features"]
    quality = bundle.manifest["quality"]["features"]
    record = bundle.manifest["record_rhythm"]["features"]
    yield """
/* What the net says, int8. masks: step by step, each wave's logit; rhythm, p_wave, findings: logits; intervals: in
 * targets' scales from their centres; spread: the log of the scale of the intervals' error, in the same scales. */
typedef struct {"""
    yield from (f"    int8_t {name}[{tensor.size}];" for name, tensor in _heads(bundle, graph).items())
    yield f"""}} leadwire_net_heads;

/* How one measure is stated (edge_runtime/ranges.py). The weights are those of:
 * {", ".join(ranges)} */
typedef struct {{
    const char *name, *unit;
    float centre, scale, blend, low, high, bias, weights[{len(ranges)}];
}} leadwire_net_target;

/* A logistic: of the quality (edge_runtime/quality.py), of one rhythm of a whole record (edge_runtime/rhythms.py). */
typedef struct {{
    float bias, weights[{len(quality)}];
}} leadwire_net_quality_logistic;
typedef struct {{
    float bias, weights[{len(record)}];
}} leadwire_net_record_logistic;

/* probability = 1 / (1 + exp(-(slope * logit + offset))) */
typedef struct {{
    const char *name;
    float slope, offset;
}} leadwire_net_finding;

extern const char *const leadwire_net_rhythms[{len(bundle.model.classes)}];
extern const leadwire_net_target leadwire_net_targets[{len(bundle.model.targets)}];
extern const leadwire_net_finding leadwire_net_findings[{len(bundle.model.findings)}];
{_comment(quality)}
extern const leadwire_net_quality_logistic leadwire_net_quality;
{_comment(record)}
extern const leadwire_net_record_logistic leadwire_net_record_rhythm[{len(bundle.model.classes)}];

/* A conditioned sample as the net takes it: companded and quantized, clipped at the range's ends. */
int8_t leadwire_net_quantize(float millivolts);

/* One window through the net. Not reentrant: its arena is static. */
void leadwire_net_run(const int8_t window[{PREFIX}SAMPLES], leadwire_net_heads *heads);

#ifdef __cplusplus
}}
#endif

#endif"""


def tables(bundle: Bundle, graph: Graph) -> Iterator[str]:
    """The constants behind the header's names, and the quantizing of a sample; the end of `leadwire_net.c`."""
    model, manifest = bundle.model, bundle.manifest
    yield _array("char *const leadwire_net_rhythms", (_text(name) for name in model.classes))
    rows = []
    for name, t in model.targets.items():
        said = (_text(name), _text(manifest["targets"][name]["unit"]))
        numbers = (t.centre, t.scale, t.blend, t.low, t.high, t.bias)
        rows.append(f"{{{', '.join(said)}, {_floats(numbers)}, {{{_floats(t.weights)}}}}}")
    yield _array("leadwire_net_target leadwire_net_targets", rows)
    found = (f"{{{_text(name)}, {_floats(both)}}}" for name, both in model.findings.items())
    yield _array("leadwire_net_finding leadwire_net_findings", found)
    quality, record = model.quality, model.record_rhythm
    one = f"{{{_float(quality['bias'])}, {{{_floats(quality['weights'])}}}}}"
    yield f"const leadwire_net_quality_logistic leadwire_net_quality = {one};"
    rows = [f"{{{_float(b)}, {{{_floats(w)}}}}}" for b, w in zip(record["bias"], record["weights"], strict=True)]
    yield _array("leadwire_net_record_logistic leadwire_net_record_rhythm", rows)
    yield _quantize(bundle, graph)


def _quantize(bundle: Bundle, graph: Graph) -> str:
    """A search among the millivolts at which one step becomes the next needs no asinh and no rounding."""
    edges = np.arange(-127, 128) - 0.5 - graph.window.zero
    millivolts = bundle.model.conditioning.compand_mv * np.sinh(edges * graph.window.scale)
    table = "\n".join(f"    {line}" for line in textwrap.wrap(_floats(millivolts.tolist()), 116))
    return f"""
static const float edges[{len(edges)}] = {{ /* mV from which a sample is one step more than -128, two, ... */
{table}
}};

int8_t leadwire_net_quantize(float millivolts) {{
    int below = 0, above = {len(edges)};
    while (below < above) {{
        const int middle = (below + above) / 2;
        if (millivolts >= edges[middle])
            below = middle + 1;
        else
            above = middle;
    }}
    return (int8_t)(below - 128);
}}"""


def _heads(bundle: Bundle, graph: Graph) -> dict[str, Tensor]:
    return {name: graph.heads[name] for name in bundle.manifest["heads"]}


def _define(name: str, value: object, why: str = "") -> str:
    return f"#define {PREFIX}{name} {value}" + (f" /* {why} */" if why else "")


def _enum(kind: str, names: Sequence[str]) -> str:
    entries = ", ".join(f"{PREFIX}{kind}_{re.sub(r'[^A-Z0-9]', '_', name.upper())}" for name in names)
    return "\n".join(textwrap.wrap(f"enum {{{entries}}};", 116, subsequent_indent="    "))


def _comment(names: Sequence[str]) -> str:
    return "\n".join(textwrap.wrap(f"/* {', '.join(names)} */", 116, subsequent_indent=" * "))


def _array(declared: str, rows: Iterable[str]) -> str:
    return f"const {declared}[] = {{\n" + "".join(f"    {row},\n" for row in rows) + "};"


def _text(text: str) -> str:
    return json.dumps(text)


def _float(value: float) -> str:
    """The shortest decimal that is this number as a 32-bit float."""
    return f"{np.float32(value)!s}f"


def _floats(values: Iterable[float]) -> str:
    return ", ".join(_float(v) for v in values)
