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


BENCHMARKS: dict[str, Benchmark] = {
    "gateway": Benchmark(
        "benchmarks.gateway",
        "feedback acknowledged by Kafka: events a second and latency, beside a bare ASGI endpoint",
        ("aiokafka", "pydantic", "starlette", "uvicorn", "uvloop", "httptools"),
    ),
    "redact": Benchmark(
        "benchmarks.redact",
        "texts redacted a second on one core, beside Presidio's engine without a model",
        ("presidio-analyzer", "spacy", "pydantic"),
    ),
}
