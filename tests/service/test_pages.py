"""Pages: cut out of whole answers, led through by tokens that cannot be made up."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.service.encoding import decode_list, encode_again, encode_list, encode_row, split_list
from perfkit.service.paging import Page, Pager
from perfkit.service.questions import BY_SEMESTER, OF_USER, Question

PAGER = Pager("a secret for the tests of the pages")
QUESTION = Question(OF_USER, "student123")

texts = st.text(st.characters(codec="utf-8"), max_size=8)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "enrollment_id": st.integers(0, 999).map("E{:03}".format),
            "enrolled_at": st.sampled_from(["2024-01-01", "2024-01-02", "2025-01-01"]),
            "notes": texts,
            "grade": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
        }
    ),
    max_size=12,
    unique_by=lambda row: row["enrollment_id"],
).map(lambda found: sorted(found, key=lambda row: (row["enrolled_at"], row["enrollment_id"])))


def following(body: bytes) -> tuple[str, ...] | None:
    import json

    token = json.loads(body)["next"]
    if token is None:
        return None
    after = PAGER.read(token, QUESTION.text)
    assert after is not None
    return after


@given(rows, st.integers(1, 5))
def test_pages_are_the_whole_in_pieces(found: list[dict[str, object]], limit: int) -> None:
    body = encode_list(found)
    page: Page | None = Page(limit=limit)
    walked: list[dict[str, object]] = []
    while page is not None:
        cut = PAGER.cut(body, page, QUESTION)
        assert cut == PAGER.encode(body, page, QUESTION)
        part = decode_list(cut)
        assert 0 < len(part) <= limit or not found
        walked += part
        after = following(cut)
        page = None if after is None else Page(limit=limit, after=after)

    assert walked == decode_list(body)


@given(rows)
def test_encoding_again_changes_nothing(found: list[dict[str, object]]) -> None:
    body = encode_list(found)

    assert encode_list(decode_list(body)) == body
    assert len(split_list(body)) == len(found)
    for row in found:
        assert encode_again(encode_row(row)) == encode_row(row)


@given(rows.filter(lambda found: len(found) > 3), st.data())
def test_rows_that_come_or_go_move_no_other_to_another_page(
    found: list[dict[str, object]], data: st.DataObject
) -> None:
    first = PAGER.cut(encode_list(found), Page(limit=2), QUESTION)
    gone = data.draw(st.sampled_from(found[:2]))
    fewer = [row for row in found if row is not gone]

    second = PAGER.cut(encode_list(fewer), Page(limit=100, after=following(first)), QUESTION)

    assert decode_list(second) == decode_list(encode_list(found))[2:]


def a_token() -> str:
    import json

    found = [{"enrolled_at": f"2024-01-0{day}", "enrollment_id": "E1"} for day in range(1, 4)]
    token: str = json.loads(PAGER.cut(encode_list(found), Page(limit=1), QUESTION))["next"]
    return token


def test_every_changed_character_of_a_token_is_noticed() -> None:
    token = a_token()
    assert PAGER.read(token, QUESTION.text) == ("2024-01-01", "E1")

    for place in range(len(token)):
        for other in "A_z9":
            if token[place] != other:
                assert PAGER.read(token[:place] + other + token[place + 1 :], QUESTION.text) is None
        assert PAGER.read(token[:place], QUESTION.text) is None


@pytest.mark.parametrize(
    "question",
    [
        pytest.param(Question(OF_USER, "student124"), id="another user"),
        pytest.param(Question(BY_SEMESTER, "1", "CS"), id="another endpoint"),
    ],
)
def test_a_token_leads_through_one_answer_only(question: Question) -> None:
    assert PAGER.read(a_token(), question.text) is None


def test_a_token_of_another_secret_is_refused() -> None:
    assert Pager("another secret").read(a_token(), QUESTION.text) is None


def test_questions_with_other_values_have_other_texts() -> None:
    assert Question(BY_SEMESTER, 'a","b', "c").text != Question(BY_SEMESTER, "a", 'b","c').text


@given(
    st.text(max_size=100)
    | st.binary(max_size=60).map(lambda b: base64.urlsafe_b64encode(b).decode())
)
def test_made_up_tokens_are_refused(token: str) -> None:
    assert PAGER.read(token, QUESTION.text) is None
