"""Each setting of a decision point says whether its manager reads it, and that is so."""

import ast
from pathlib import Path

import pytest

from federation.runtime.roster import Roster
from managers.uim.launch import ROSTER
from tiki import Setting

MANAGERS = Path(__file__).parents[2] / "managers"
SETTINGS = [
    pytest.param(name.partition(".")[0], setting, id=f"{name}-{setting.name}")
    for name, point in Roster(ROSTER).points.items()
    for setting in point.schema.settings
]


def texts(manager: str) -> set[str]:
    """Every string that the manager's code names, its declarations aside."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in (MANAGERS / manager).glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    points = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "DecisionPoint"]
    declared = {id(node) for point in points for node in ast.walk(point)}
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in declared
    }


@pytest.mark.parametrize(("manager", "setting"), SETTINGS)
def test_a_setting_says_whether_its_manager_reads_it(manager: str, setting: Setting) -> None:
    assert setting.read_by_manager == (setting.name in texts(manager))
