"""HubProtocol.md, "JSON Encoding": a record ends in 0x1E; a frame may hold parts of one, or several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.errors import MessageTooLargeError
from flask_chatix_comments.hub.signalr.framing import MAX_PARTS, RECORD_SEPARATOR, RecordReader, frame

TWO_RECORDS = '{"type":6}\x1e{"type":1,"target":"Hellö 😀","arguments":[]}\x1e'


def test_two_records_in_one_text() -> None:
    reader = RecordReader(limit_bytes=100)
    assert list(reader.feed(TWO_RECORDS)) == TWO_RECORDS.split(RECORD_SEPARATOR)[:2]


@pytest.mark.parametrize("cut", range(len(TWO_RECORDS) + 1))
def test_a_text_cut_anywhere(cut: int) -> None:
    reader = RecordReader(limit_bytes=100)
    records = [*reader.feed(TWO_RECORDS[:cut]), *reader.feed(TWO_RECORDS[cut:])]
    assert records == TWO_RECORDS.split(RECORD_SEPARATOR)[:2]


def test_a_text_in_single_characters() -> None:
    reader = RecordReader(limit_bytes=100)
    assert [record for character in TWO_RECORDS for record in reader.feed(character)] == TWO_RECORDS.split("\x1e")[:2]


def test_a_record_of_just_the_limit_in_bytes() -> None:
    assert list(RecordReader(limit_bytes=4).feed("éé\x1e😀\x1e")) == ["éé", "😀"]


def test_a_record_above_the_limit_after_one_below() -> None:
    reader = RecordReader(limit_bytes=4)
    records = reader.feed("ok\x1eéé!\x1e")
    assert next(records) == "ok"
    with pytest.raises(MessageTooLargeError) as caught:
        next(records)
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (5, 4)


def test_a_record_that_never_ends_is_refused_when_it_grows_too_large() -> None:
    reader = RecordReader(limit_bytes=10)
    assert list(reader.feed("x" * 10)) == []
    with pytest.raises(MessageTooLargeError):
        list(reader.feed("x"))


def test_lone_surrogates_have_a_size() -> None:
    assert list(RecordReader(limit_bytes=3).feed("\ud800\x1e")) == ["\ud800"]


def test_frame_ends_a_record() -> None:
    assert frame("{}") == "{}\x1e"


@given(
    st.lists(st.text(st.characters(exclude_characters=RECORD_SEPARATOR))),
    st.lists(st.integers(min_value=0, max_value=200), max_size=10),
)
def test_any_records_in_any_pieces(records: list[str], cuts: list[int]) -> None:
    text = "".join(map(frame, records))
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    reader = RecordReader(limit_bytes=10_000)
    pieces = [text[start:end] for start, end in zip(ends, ends[1:], strict=False)]
    assert [record for piece in pieces for record in reader.feed(piece)] == records


def test_a_record_in_very_many_pieces_is_kept_as_few() -> None:
    """A text of one character costs many times its length."""
    reader = RecordReader(limit_bytes=10_000)
    for _ in range(5000):
        assert list(reader.feed("ю")) == []
        assert len(reader._parts) <= MAX_PARTS
    assert reader.is_amid
    assert list(reader.feed("\x1e")) == ["ю" * 5000]
    assert not reader.is_amid
