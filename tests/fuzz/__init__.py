"""Coverage-guided fuzzing of whatever reads what somebody else wrote: `make fuzz`, or `python -m tests.fuzz --help`.

`targets` says what must hold for any input, `seeds` where the fuzzer begins, `process` fuzzes one target with atheris,
`__main__` runs them one after the other. What breaks a target is kept under `findings/TARGET/`, as the input itself;
tests/tiki/test_fuzz_findings.py tries every file there again, so a finding stays as a test once it is cured.
"""

from pathlib import Path

FINDINGS = Path(__file__).parent / "findings"
