"""Where the Django side and the pipeline must agree although neither imports the other."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import Change, Operation, join_primary_key
from schemas.erasure import ERASED
from schemas.topics import CONTEXT_PREFIX, OWN_TABLES
from tests.django_site import configure

configure()

from bemi import field_values, statements  # noqa: E402
from bemi.models import BemiChange  # noqa: E402
from bemi.row_identity import joined_primary_key  # noqa: E402

INSTALL = files("bemi").joinpath("sql").joinpath("install.sql").read_text()


def test_the_trigger_sends_under_the_prefix_that_the_stitcher_takes_for_a_context() -> None:
    prefixes = re.findall(r"pg_logical_emit_message\(true, '([^']*)'", INSTALL)
    assert set(prefixes) == {CONTEXT_PREFIX}


def test_the_trigger_reads_the_comment_that_the_wrapper_writes() -> None:
    assert f"'{statements.COMMENT_START}'" in INSTALL
    assert f"'{statements.COMMENT_END}'" in INSTALL


def test_the_pipelines_own_tables_get_no_trigger() -> None:
    assert "<> 'changes'" in INSTALL
    assert "starts_with(coalesce(root.relname, c.relname), 'bemi_')" in INSTALL
    assert {table for table in OWN_TABLES if not table.startswith("bemi_")} == {"changes"}


def test_the_model_has_every_column_of_a_change() -> None:
    columns = {field.column for field in BemiChange._meta.concrete_fields}
    assert set(Change.__annotations__) == columns - {"created_at"}


def test_what_stands_for_an_erased_value_is_the_same() -> None:
    assert field_values.ERASED == ERASED


@pytest.mark.parametrize(("method", "word"), [("created", "CREATE"), ("updated", "UPDATE")])
def test_operations_have_the_pipelines_words(method: str, word: str) -> None:
    assert f"= {word}" in str(getattr(BemiChange.objects.all(), method)().query)
    assert Operation(word)


KEY = st.one_of(st.integers(), st.text(), st.uuids())


@given(key=st.lists(KEY, min_size=2, max_size=3))
def test_a_composite_key_is_joined_as_the_pipeline_joins_it(key: list[object]) -> None:
    assert joined_primary_key(tuple(key)) == join_primary_key(key)


@given(key=KEY)
def test_a_single_key_is_written_as_the_pipeline_writes_it(key: object) -> None:
    assert joined_primary_key(key) == join_primary_key([key])


@given(context=st.dictionaries(st.text(), st.text()), sql=st.text(min_size=1))
def test_a_context_is_json_as_the_stitcher_reads_it(context: dict[str, str], sql: str) -> None:
    comment = statements.encode_context(context, sql, statements.Form(10**6))
    assert comment is not None
    text = comment.removeprefix(statements.COMMENT_START).removesuffix(statements.COMMENT_END)
    assert json.loads(text) == {**context, "SQL": sql}
