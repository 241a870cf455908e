"""What is measured, against what: each module prints ratios, taken in one run."""

BENCHMARKS = {
    "server": "tocdemo.benchmarks.server",
    "loopwatch": "tocdemo.benchmarks.loopwatch",
    "lab": "tocdemo.benchmarks.lab",
    "explorer": "tocdemo.benchmarks.explorer",
    "watching": "tocdemo.benchmarks.watching",
    "hub": "tocdemo.benchmarks.hub",
}
