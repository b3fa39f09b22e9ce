import json
import subprocess
import sys
from pathlib import Path


def test_every_engine_of_the_benchmark_decides_like_the_plain_reading() -> None:
    command = [sys.executable, "-m", "benchmarks.rules", "--json", "--cases", "300", "--rounds", "1", "--rules", "250"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert [result["wrong"] for result in report["results"]] == [0] * 7
    assert [result["engine"].split()[0] for result in report["compiled"]] == [
        *("tiki,", "tiki,", "cel-expr-python", "common-expression-language", "zen-engine", "cedarpy", "regopy")
    ]
    assert all(result["seconds"] >= 0 for result in report["compiled"])
    assert report["note"]
    assert report["machine"]
