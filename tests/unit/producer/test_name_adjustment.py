"""Names that Avro takes, of names that it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.name_adjustment import (
    MODES,
    field_name_adjuster,
    is_field_name,
    schema_name_adjuster,
)


@pytest.mark.parametrize(
    ("mode", "name", "adjusted"),
    [
        ("none", "my-shop.été.Value", "my-shop.été.Value"),
        ("avro", "my-shop.été.Value", "my_shop._t_.Value"),
        ("avro", "my_shop.v1.Value", "my_shop.v1.Value"),
        ("avro", "1st.Value", "_1st.Value"),
        ("avro", "-st.Value", "_st.Value"),
        ("avro", "a😀", "a__"),
        ("avro_unicode", "my-shop.été.Value", "my_u002dshop._u00e9t_u00e9.Value"),
        ("avro_unicode", "my_shop", "my_u005fshop"),
        ("avro_unicode", "1st", "_u0031st"),
        ("avro_unicode", "aλ", "a_u3bb"),
        ("avro_unicode", "a\t", "a_u009"),
        ("avro_unicode", "a😀", "a_ud83d_ude00"),
        ("avro", "", ""),
    ],
)
def test_a_schema_name_becomes(mode: str, name: str, adjusted: str) -> None:
    assert schema_name_adjuster(mode)(name) == adjusted


@pytest.mark.parametrize(
    ("mode", "name", "adjusted"),
    [
        ("none", "first name", "first name"),
        ("avro", "first name", "first_name"),
        ("avro", "a.b", "a_b"),
        ("avro", "2nd", "_2nd"),
        ("avro_unicode", "a.b", "a_u002eb"),
        ("avro_unicode", "first_name", "first_u005fname"),
    ],
)
def test_a_field_name_becomes(mode: str, name: str, adjusted: str) -> None:
    assert field_name_adjuster(mode)(name) == adjusted


@given(st.sampled_from(MODES[1:]), st.text(st.characters(codec="utf-8"), min_size=1))
def test_avro_takes_each_adjusted_field_name(mode: str, name: str) -> None:
    # Debezium keeps a first character that is a digit, also one of another script.
    if not (name[0].isdecimal() and not name[0].isascii()):
        assert is_field_name(field_name_adjuster(mode)(name))
