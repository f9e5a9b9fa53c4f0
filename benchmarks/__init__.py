"""One file for each claim: it prints the figure, the peer's figure and their ratio, measured in one run.

A benchmark is a row here and a module with `measure(profile: Profile) -> list[Figure]` (infra.bench).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Where a benchmark is, what it measures, and the packages whose versions matter to its figures."""

    module: str
    about: str
    packages: tuple[str, ...] = ()
    pictures: str | None = None  # module with `pictures(figures)`: names and matplotlib figures


BENCHMARKS: dict[str, Benchmark] = {
    "ablation": Benchmark(
        "benchmarks.ablation",
        "our way of combining rewards beside others', each of its parts left out, on a toy whose rewards conflict",
        ("numpy", "scipy"),
        "benchmarks.ablation_pictures",
    ),
    "gateway": Benchmark(
        "benchmarks.gateway",
        "feedback acknowledged by Kafka: events a second and latency, beside a bare ASGI endpoint",
        ("aiokafka", "pydantic", "starlette", "uvicorn", "uvloop", "httptools"),
    ),
    "matrix": Benchmark(
        "benchmarks.matrix",
        "a step of the alignment matrix's method, its guard and a refresh of risks, beside a plain twin",
        ("numpy", "scipy"),
    ),
    "redact": Benchmark(
        "benchmarks.redact",
        "texts redacted a second on one core, beside Presidio's engine without a model",
        ("presidio-analyzer", "spacy", "pydantic"),
    ),
}
