"""TIKI: rules for a cluster that a person can read.

`build` checks and compiles specs for decision points; a `Program` decides, explains, forbids and keeps time. What
everything means is written out in docs/tiki/semantics.md. Knows nothing of the rest of ELIAS.
"""

from tiki.bundle import Bundle, build, check, load, read_directory, rebuild, run_examples
from tiki.diagnostics import Diagnostic, Invalid, Severity, Source
from tiki.document import Document
from tiki.examples import Example, ExampleResult
from tiki.format import format_text
from tiki.plan import Verdict
from tiki.program import Latch, Program
from tiki.read import read
from tiki.schema import Action, Arg, Attribute, Fact, Point, Setting, Type
from tiki.trace import Trace
from tiki.values import ABSENT, UNKNOWN, Known, Truth, Value
from tiki.windows import Memory

__all__ = [
    "ABSENT",
    "UNKNOWN",
    "Action",
    "Arg",
    "Attribute",
    "Bundle",
    "Diagnostic",
    "Document",
    "Example",
    "ExampleResult",
    "Fact",
    "Invalid",
    "Known",
    "Latch",
    "Memory",
    "Point",
    "Program",
    "Setting",
    "Severity",
    "Source",
    "Trace",
    "Truth",
    "Type",
    "Value",
    "Verdict",
    "build",
    "check",
    "format_text",
    "load",
    "read",
    "read_directory",
    "rebuild",
    "run_examples",
]
