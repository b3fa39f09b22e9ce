"""The shipped spec decides as its examples say."""

import tiki
from federation.points import schemas
from federation.settings import shipped_specs
from managers.uam.points import RESTART


def test_the_shipped_examples_hold() -> None:
    bundle = tiki.load(shipped_specs() / "uam", schemas({RESTART.name: RESTART}))
    results = tiki.run_examples(bundle)
    assert len(results) >= 10
    assert [result.message for result in results if not result.passed] == []
    assert bundle.warnings == ()
