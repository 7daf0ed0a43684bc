"""The filter grammar: what is written is what is read, and nothing else is."""

from __future__ import annotations

import pytest
from elevon_admin.domain.filters import ENTITY_CODES, Filter, FilterFunction, mentions, parse_filters
from elevon_core.errors import InvalidArgument
from hypothesis import given
from hypothesis import strategies as st

fields = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
entities = st.sampled_from(["", *ENTITY_CODES])
values = st.text(st.characters(blacklist_characters=";\0()+", blacklist_categories=["Cs"]), min_size=1, max_size=20)
trimmed = values.filter(lambda value: not value.startswith(" "))


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    function = draw(st.sampled_from(FilterFunction))
    more = draw(st.lists(values, max_size=4)) if function.takes_many else []
    return Filter(function, draw(entities), draw(fields), (draw(trimmed), *more))


def written(expression: Filter, blank: bool) -> str:
    field = f"{expression.entity}.{expression.field}" if expression.entity else expression.field
    return f"{expression.function}({field},{' ' if blank else ''}{';'.join(expression.values)})"


@given(st.lists(filters(), max_size=5), st.booleans(), st.sampled_from(["+", " + ", "+ "]))
def test_what_is_written_is_read(expressions: list[Filter], blank: bool, plus: str) -> None:
    text = plus.join(written(expression, blank) for expression in expressions)

    assert parse_filters(text) == tuple(expressions)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_filters(text)
    except InvalidArgument:
        return
    assert all(expression.field and all(expression.values) for expression in found)
    assert bool(found) == bool(text.strip())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eq(name,a+b)", ("a+b",)),
        ("eq(name,a,b)", ("a,b",)),
        ("eq(name,f(x))", ("f(x)",)),
        ("eq(name,f(x),g(y))", ("f(x),g(y)",)),
        ("eq(name,a) b)", ("a) b",)),
        ("eq(name,(a) sequel(b))", ("(a) sequel(b)",)),
        ("eq(name,:(  )", (":(  ",)),
        ("value_in(name,f(a);b)", ("f(a)", "b")),
        ("eq(name,  a )", (" a ",)),
        ("value_in(name, a; b)", ("a", " b")),
        (" eq(name,a) ", ("a",)),
        ("gt(created_at,2024-01-01T00:00:00+01:00)", ("2024-01-01T00:00:00+01:00",)),
    ],
)
def test_values_are_taken_as_they_stand_but_for_one_blank(text: str, expected: tuple[str, ...]) -> None:
    [found] = parse_filters(text)
    assert found.values == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name", "expected func(field,value)"),
        ("eq(name)", "expected func(field,value)"),
        ("eq(na me,a)", "expected func(field,value)"),
        ("eq(name,a)eq(name,b", "expected func(field,value)"),
        ("+eq(name,a)", "expected func(field,value)"),
        ("eq(name,a) eq(version,v1)", "%2B in URLs"),
        ("eq(name,a),eq(version,v1)", "%2B in URLs"),
        ("eq(name,a);eq(version,v1)", "%2B in URLs"),
        ("value_in(name,a)  value_in(version,v1)", "an expression begins within a value"),
        ("eq(name,a)eq(version,v1)", "an expression begins within a value"),
        ("eq(name,a)++eq(version,v1)", "expressions are joined with one + each"),
        ("eq(name,a)+ +eq(version,v1)", "expressions are joined with one + each"),
        ("eq(name,a)+,eq(version,v1)", "expressions are joined with one + each"),
        ("eq(name,a))", "more parentheses are closed than opened"),
        ("value_in(name,f(a);b))", "more parentheses are closed than opened"),
        ("eq(name,a))+eq(version,v1)", "more parentheses are closed than opened"),
        ("eq(name,a)+", "expected func(field,value)"),
        ("eq(name,)", "a value is empty"),
        ("value_in(name,a;;b)", "a value is empty"),
        ("EQ(name,a)", "unrecognized filter function: EQ"),
        ("eq(name,a)+like(name,b)", "unrecognized filter function: like"),
        ("eq(user.name,a)", "unknown entity"),
        ("eq(a.task.name,a)", "unknown entity"),
        ("eq(task.,a)", "column name is empty"),
        ("contains(name,a;b)", "contains takes one value, not 2"),
        ("eq(name,a\0b)", "NUL"),
        (f"value_in(name,{';'.join('a' * 1001)})", "at most 1000 values"),
        ("+".join(["ne(name,x)"] * 101), "at most 100 expressions, not 101"),
        ("+".join([f"value_in(name,{';'.join('a' * 1000)})"] * 5 + ["eq(name,a)"]), "at most 5000 values in all"),
        (f"contains(name,{'a' * 10_001})", "contains compares with at most 10000 characters, not 10001"),
        (f"not_like(name,{'a' * 10_001})", "not_like compares with at most 10000 characters"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(text: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_filters(text)
    assert words in caught.value.message


def test_whether_a_field_is_mentioned_does_not_depend_on_its_entity() -> None:
    found = parse_filters("eq(execution.state,1)+eq(name,a)")
    assert mentions(found, "state")
    assert not mentions(found, "execution")
