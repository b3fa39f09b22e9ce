"""The output of a job as it is shown: without what Ray puts before it, however it is cut into parts."""

from managers.uim.logs import Text

BEFORE = "2026-11-21 11:14:32,334\tINFO job_manager.py:5 -- Setting up.\nRunning entrypoint for job a: x\n"


def shown(text: str, size: int) -> str:
    raw, text_ = text.encode(), Text()
    parts = [raw[at : at + size] for at in range(0, len(raw), size)]
    return "".join(text_.take(part) for part in (*parts, b""))


def test_what_ray_says_before_the_output_of_a_job_is_left_out() -> None:
    for text in ("hello\n", "42 is no date\n", "grüezi, ohne Ende", "", "Run\nRunning entrypoint for job x\n"):
        for size in (1, 7, 1000):
            assert shown(BEFORE + text, size) == text
            assert shown(text, size) == text


def test_a_line_without_an_end_is_shown_at_once() -> None:
    text = Text()
    assert text.take(BEFORE.encode() + b"progress .") == "progress ."
    assert text.take(b".") == "."
