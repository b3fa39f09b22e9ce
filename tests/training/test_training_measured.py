"""The measurement of a training on a card, with a shape that a processor carries."""

from benchmarks.qlora import measure
from training.learning import preset as presets
from training.learning.preset import Adapter, Shape


def test_a_measured_training_takes_its_steps_and_says_what_they_cost() -> None:
    shape = Shape(hidden=32, inner=64, layers=2, heads=2, key_value_heads=2, words=64)
    small = presets.load("mini").model_copy(update={"shape": shape, "adapter": Adapter(rank=4), "rows": 4})
    course = small.grpo.model_copy(update={"batch": 4})
    found = measure(small.model_copy(update={"grpo": course}), "grpo", steps=11)
    assert found["steps"] == 12
    assert found["examples_per_s"] > 0
    assert found["tokens"]["mean"] > 100
