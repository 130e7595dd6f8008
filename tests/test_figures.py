"""What `make figures` writes: each section replaces its own part of the results and no other."""

from benchmarks.__main__ import with_sections

RUN = "## The main job\n\n| a |\n\n- **met**: a; found 1\n- **missed by 5.0%**: b; found 2\n"
HTML = "## A report\n\n- **no verdict**: c; found nothing\n"


def test_a_section_replaces_its_own_part_only() -> None:
    before = with_sections("", {"html": HTML, "run": RUN})

    after = with_sections(before, {"run": RUN.replace("| a |", "| b |")})

    assert before.count("## ") == 2
    assert before.index("The main job") < before.index("A report")
    assert "1 of 3 aims are met." in before
    assert after == before.replace("| a |", "| b |")


def test_what_is_measured_no_more_goes() -> None:
    text = with_sections("", {"run": RUN}) + "\n<!-- gone -->\n## Gone\n"

    assert "Gone" not in with_sections(text, {"html": HTML})
