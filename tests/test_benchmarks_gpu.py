"""What the benchmarks for GPUs make of traces and measurements."""

import re
import sys

import jax
import jax.numpy as jnp
import pytest

from benchmarks.on_gpu import filling, row, run
from benchmarks.profile import block, events, places


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("jit(f)/jvp(dense_trunk)/while/body/jvp(self_attention)/mul", "self_attention"),
        ("jit(f)/jvp(dense_trunk)/while/body/dot_general", "dense_trunk"),
        (
            "jit(f)/transpose(jvp(dense_trunk))/while/checkpoint/scale_aggregation/add",
            "scale_aggregation, backward",
        ),
        (
            "jit(f)/transpose(jvp(dense_trunk))/rematted_computation/self_calibrated/mul",
            "self_calibrated, computed again",
        ),
        ("jit(f)/optimizer/mul", "optimizer"),
        ("", "rest"),
    ],
)
def test_an_operation_belongs_to_its_innermost_block(place, expected):
    assert block(place) == expected


def test_operations_of_a_trace_lead_to_their_scopes(tmp_path):
    def program(x):
        with jax.named_scope("self_attention"):
            x = jnp.tanh(x @ x)
        with jax.named_scope("loss"):
            return jnp.sin(x).sum()

    x = jnp.ones((64, 64))
    compiled = jax.jit(program).lower(x).compile()
    (tmp_path / "program_after_optimizations.txt").write_text(compiled.as_text())
    jax.block_until_ready(compiled(x))
    with jax.profiler.trace(str(tmp_path / "trace")):
        jax.block_until_ready(compiled(x))
    known = places(tmp_path)
    seen = [e for e in events(tmp_path / "trace") if e.module == "jit_program"]
    assert seen
    assert all(event.seconds >= 0 for event in seen)
    assert {block(known[e.module, e.operation]) for e in seen} >= {"self_attention", "loss"}


def test_a_worker_that_fails_or_takes_too_long_says_so():
    failing = run([sys.executable, "-c", "raise MemoryError('card full')"], 1, 60)
    assert failing == {"failed": "MemoryError: card full"}
    assert row("peer", failing | {"work": "training"}).count("card full") == 1
    slow = run([sys.executable, "-c", "import time; time.sleep(60)"], 1, 0.5)
    assert slow == {"failed": "took more than 0.5 s"}


def test_a_full_card_is_nine_tenths_of_it():
    worker = (
        "import sys, json\n"
        "for i, _ in enumerate(sys.stdin):\n"
        "    print(json.dumps({'seconds': 1 + i, 'device_mib': 100, 'device_limit_mib': 1200}))"
    )
    result = run([sys.executable, "-c", worker], 3, 60)
    assert result["first_s"] == 1
    assert result["s"] == 3
    assert filling(result, crops=12) == 129
    assert filling({"s": 1.0}, crops=12) is None
    line = row("ours", result | {"work": "training step, 12 crops", "crops_per_s": 4.0})
    assert re.fullmatch(
        r"\| training step, 12 crops \| ours \| 3.0000 \| 4 \| 0.1 \| 125.00 \|", line
    )
