"""Findings in SARIF 2.1.0. The schema below is the part of the standard's that a log of ours can touch."""

import json
import re
from typing import Any

import jsonschema
import lab
import pytest

import tiki
from tiki import Source
from tiki.findings.codes import CODES
from tiki.sarif import to_sarif

MESSAGE = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
REGION = {
    "type": "object",
    "required": ["startLine", "startColumn", "endLine", "endColumn"],
    "properties": {
        name: {"type": "integer", "minimum": 1} for name in ("startLine", "startColumn", "endLine", "endColumn")
    },
    "additionalProperties": False,
}
ARTIFACT = {"type": "object", "required": ["uri"], "properties": {"uri": {"type": "string", "pattern": r"^[^\s\\]+$"}}}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "id": {"type": "integer", "minimum": -1},
        "message": MESSAGE,
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {"artifactLocation": ARTIFACT, "region": REGION},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
REPLACEMENT = {
    "type": "object",
    "required": ["deletedRegion"],
    "properties": {"deletedRegion": REGION, "insertedContent": {"type": "object", "required": ["text"]}},
    "additionalProperties": False,
}
FIX = {
    "type": "object",
    "required": ["artifactChanges"],
    "properties": {
        "description": MESSAGE,
        "artifactChanges": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["artifactLocation", "replacements"],
                "properties": {
                    "artifactLocation": ARTIFACT,
                    "replacements": {"type": "array", "minItems": 1, "items": REPLACEMENT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "ruleIndex", "level", "locations"],
    "properties": {
        "ruleId": {"enum": list(CODES)},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": MESSAGE,
        "locations": {"type": "array", "minItems": 1, "items": LOCATION},
        "relatedLocations": {"type": "array", "uniqueItems": True, "items": LOCATION},
        "fixes": {"type": "array", "uniqueItems": True, "items": FIX},
    },
    "additionalProperties": False,
}
RULE = {
    "type": "object",
    "required": ["id", "shortDescription", "help"],
    "properties": {"id": {"enum": list(CODES)}, "shortDescription": MESSAGE, "help": MESSAGE},
    "additionalProperties": False,
}
DRIVER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"const": "elias tiki check"},
        "rules": {"type": "array", "uniqueItems": True, "items": RULE},
    },
    "additionalProperties": False,
}
LOG = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "pattern": "^https://"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "tool": {"type": "object", "required": ["driver"], "properties": {"driver": DRIVER}},
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


def log_of(*bullets: str) -> dict[str, Any]:
    found = tiki.check([Source("a b/lab.tiki", lab.spec(*bullets))], lab.POINTS)
    return json.loads(json.dumps(to_sarif(found)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "bullets",
    [
        (),
        ("fallback: hold", "when memory > 90%: shed_load"),
        ("when memory > 80% and memory > 90%: shed_load", "when memory > 95%: migrate", "memory_threshold: 5%"),
        ("when memry > 80%: shed_load", "otherwise: hodl", "memory_treshold: 5"),
        ("fallback: hold", "when memory > 90%: migrate", "never migrate when memory > 80%"),
    ],
)
def test_a_log_follows_the_standard(bullets: tuple[str, ...]) -> None:
    log = log_of(*bullets)
    jsonschema.Draft7Validator(LOG).validate(log)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted({result["ruleId"] for result in run["results"]})
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])


def test_a_finding_names_its_place_the_other_places_and_the_input_that_shows_it() -> None:
    log = log_of("fallback: hold", "warm: when memory > 80%: shed_load", "hot: when memory > 90%: migrate")
    (result,) = log["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("TIKI-702", "warning")
    assert "`warm` (memory > 80%) decides all of it." in result["message"]["text"]
    assert re.search(r"For example: memory=9\d%: `warm` decides\.", result["message"]["text"])
    (location,), (related,) = result["locations"], result["relatedLocations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "a%20b/lab.tiki"
    assert location["physicalLocation"]["region"]["startLine"] == 4
    assert related["physicalLocation"]["region"]["startLine"] == 3


def test_a_safe_fix_is_a_change_of_the_file() -> None:
    log = log_of("fallback: hold", "when busy and busy: shed_load")
    ((fix,),) = [result["fixes"] for result in log["runs"][0]["results"]]
    ((replacement,),) = [change["replacements"] for change in fix["artifactChanges"]]
    assert replacement["insertedContent"] == {"text": ""}
    assert replacement["deletedRegion"] == {"startLine": 3, "startColumn": 12, "endLine": 3, "endColumn": 21}


def test_a_rule_brings_its_page_along() -> None:
    log = log_of("fallback: hold", "when memry > 5%: hold")
    (rule,) = log["runs"][0]["tool"]["driver"]["rules"]
    assert rule["help"]["markdown"].startswith("# TIKI-301: ")
