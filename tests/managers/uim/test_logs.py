from managers.uim.logs import without_preamble


def test_what_ray_says_before_the_output_of_a_job_is_left_out() -> None:
    text = "2026-11-21 11:14:32,334\tINFO job_manager.py:5 -- Setting up.\nRunning entrypoint for job a: x\nhello\n"
    assert without_preamble(text) == "hello\n"
    assert without_preamble("hello\nRunning entrypoint for job x\n") == "hello\nRunning entrypoint for job x\n"
