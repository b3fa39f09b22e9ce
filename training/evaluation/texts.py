"""Beginnings with their true ending and three false ones of like length: code, data, numbers, commands, language.

Nothing in them is about decisions, so training on decisions has no reason to make any of them likelier. Whoever knows
code and English well has most of them right.
"""

from typing import NamedTuple


class Item(NamedTuple):
    """endings: the first is the true one."""

    kind: str
    begins: str
    endings: tuple[str, str, str, str]


ITEMS = (
    Item("code", "def largest(values):\n    return ", ("max(values)", "min(values)", "len(values)", "sum(values)")),
    Item("code", "def is_even(n):\n    return n % 2 == ", ("0", "1", "2", "n")),
    Item(
        "code",
        "def swapped(pair):\n    left, right = pair\n    return ",
        ("(right, left)", "(left, right)", "(right, pair)", "(left, left)"),
    ),
    Item("code", "for line in open(path):\n    print(line.", ("strip())", "append())", "items())", "keys())")),
    Item(
        "code",
        "class Stack:\n    items = []\n\n    def push(self, item):\n        self.items.",
        ("append(item)", "remove(item)", "split(item)", "lower(item)"),
    ),
    Item(
        "code",
        "def factorial(n):\n    if n <= 1:\n        return 1\n    return n * ",
        ("factorial(n - 1)", "factorial(n + 1)", "factorial(1 - n)", "factorial(n * n)"),
    ),
    Item(
        "code",
        "try:\n    number = int(text)\nexcept ",
        ("ValueError:", "ImportError:", "StopIteration:", "MemoryError:"),
    ),
    Item("code", "int add(int a, int b) {\n    return a ", ("+ b;", "- b;", "* b;", "/ b;")),
    Item("code", "import json\n\nwith open('a.json') as file:\n    data = json.", ("load(", "dump(", "push(", "seek(")),
    Item("code", "SELECT name FROM users WHERE age > 30 ORDER ", ("BY name;", "IN name;", "OR name;", "AS name;")),
    Item("data", '{"name": "Ada", "age": 36, "city": "Paris"', ("}", "]", ")", '"')),
    Item("data", "[1, 2, 3, 4, ", ("5]", "5}", "5)", '5"')),
    Item("data", '{"ready": true, "failed": ', ("false}", "maybe}", "never}", "often}")),
    Item("data", "name,age\nAda,36\nLin,41\nSam,", ("29", "Ada", "age", "red")),
    Item("data", '{"first": {"id": 1}, "second": {"id": 2}, "third": {"id": ', ("3}}", "3]]", "3))", "3>>")),
    Item("data", "<ul>\n  <li>one</li>\n  <li>two</li>\n</", ("ul>", "li>", "ol>", "hr>")),
    Item("data", "monday: 1\ntuesday: 2\nwednesday: 3\nthursday: ", ("4", "1", "9", "0")),
    Item("data", "2024-01-30\n2024-01-31\n2024-02-", ("01", "32", "31", "00")),
    Item("numbers", "2 + 2 = ", ("4", "5", "6", "9")),
    Item("numbers", "7 * 8 = ", ("56", "54", "65", "48")),
    Item("numbers", "100 - 37 = ", ("63", "73", "67", "53")),
    Item("numbers", "Half of 50 is ", ("25", "20", "35", "15")),
    Item("numbers", "2, 4, 8, 16, 32, ", ("64", "48", "36", "34")),
    Item("numbers", "1, 1, 2, 3, 5, 8, 13, ", ("21", "18", "15", "26")),
    Item("numbers", "A dozen eggs are ", ("12 eggs", "10 eggs", "20 eggs", "15 eggs")),
    Item("numbers", "In hexadecimal, 255 is written as 0x", ("ff", "aa", "10", "fe")),
    Item("commands", "To list the files of a folder on Linux, type: ", ("ls", "rm", "cp", "cd")),
    Item("commands", "git add notes.txt\ngit commit -m ", ('"notes"', "--rebase", "--delete", "--remote")),
    Item("commands", "tar -xzf archive.tar", (".gz", ".py", ".md", ".js")),
    Item("commands", "curl https://", ("example.com", "example/com", "example@com", "example com")),
    Item("commands", "pip install --upgrade ", ("pip", "git", "gcc", "tar")),
    Item("commands", "chmod +x script", (".sh", ".md", ".db", ".gz")),
    Item("language", "The opposite of hot is ", ("cold", "warm", "fire", "loud")),
    Item("language", "The capital of France is ", ("Paris", "Tokyo", "Cairo", "Delhi")),
    Item("language", "She has two cats and he has three ", ("dogs", "blue", "runs", "away")),
    Item("language", "Yesterday they ", ("went home", "goes home", "going home", "gone home")),
    Item("language", "Water freezes at zero degrees ", ("Celsius", "Kelvins", "Newtons", "Pascals")),
    Item("language", "The sun rises in the ", ("east", "west", "moon", "cave")),
    Item("language", "An apple is a kind of ", ("fruit", "metal", "river", "month")),
    Item("language", "One child, two ", ("children", "childs", "childes", "child")),
)
