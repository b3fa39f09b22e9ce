import json
import subprocess
import sys
from pathlib import Path


def test_every_engine_of_the_benchmark_decides_like_the_plain_reading() -> None:
    command = [sys.executable, "-m", "benchmarks.rules", "--json", "--cases", "300", "--rounds", "1"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert [result["wrong"] for result in report["results"]] == [0] * 5
    assert report["note"]
    assert report["machine"]["cores"]
