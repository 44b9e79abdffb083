"""Which SELECT may write: one that calls a function which is not known to only read.

What a function does is not to be seen from a statement's text. Those that Django's ORM writes, and
the usual ones of PostgreSQL, are known here, so that the site's reads are sent as they are; any
other gets the context. Where it only reads, that is a comment that nobody looks at.
"""

from __future__ import annotations

import re

_CALLED = re.compile(
    r'(?P<schema>(?:[^\W\d][\w$]*|"(?:[^"]|"")+")\s*\.\s*)?'
    r'(?P<name>[^\W\d][\w$]*|"(?:[^"]|"")+")\Z'
)
_BLANKS = " \t\n\r\f\v"
_LONGEST_NAME = 160  # characters before a bracket: PostgreSQL cuts a name at 63 bytes.
# By beginnings: the server's own, and those of JSON, XML, arrays, ranges and PostGIS.
_KNOWN_PREFIXES = ("pg_", "json", "xml", "array_", "range_", "multirange_", "regr_", "st_", "ts_")
_WORDS = """
    all alter and any array as asc between by case cast check column constraint cross cube desc
    distinct else end escape except exists explain fetch filter for from full group grouping
    having ilike in inner intersect interval into is isnull join key lateral left like limit
    materialized natural not notnull offset on only or order outer over partition primary
    recursive references returning right rollup row rows select set sets similar some symmetric
    table tablesample temporary then to union unique update using values when where window with
    within

    bigint bit bpchar char character date decimal double float int integer numeric real smallint
    text time timestamp timestamptz timetz varbit varchar varying
"""
_FUNCTIONS = """
    count sum avg min max stddev stddev_pop stddev_samp variance var_pop var_samp corr covar_pop
    covar_samp bool_and bool_or every bit_and bit_or bit_xor string_agg any_value mode
    percentile_cont percentile_disc to_json to_jsonb row_to_json row_number rank dense_rank
    percent_rank cume_dist ntile lag lead first_value last_value nth_value coalesce nullif
    greatest least num_nonnulls num_nulls abs acos asin atan atan2 cbrt ceil ceiling cos cot
    degrees div exp factorial floor gcd lcm ln log mod pi power radians random round scale sign
    sin sqrt tan trim_scale trunc width_bucket setseed ascii btrim char_length character_length
    chr concat concat_ws format initcap left length lower lpad ltrim md5 normalize octet_length
    overlay position quote_ident quote_literal quote_nullable regexp_count regexp_match
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr
    repeat replace reverse right rpad rtrim sha224 sha256 sha384 sha512 split_part starts_with
    strpos substr substring translate trim unaccent upper decode encode convert convert_from
    convert_to to_hex digest age clock_timestamp current_time current_timestamp date_bin
    date_part date_trunc extract isfinite justify_days justify_hours justify_interval localtime
    localtimestamp make_date make_interval make_time make_timestamp make_timestamptz now
    statement_timestamp timeofday timezone to_char to_date to_number to_timestamp
    transaction_timestamp cardinality generate_series generate_subscripts string_to_array unnest
    isempty lower_inc lower_inf upper_inc upper_inf similarity strict_word_similarity
    word_similarity to_tsquery to_tsvector plainto_tsquery phraseto_tsquery websearch_to_tsquery
    setweight strip numnode querytree current_catalog current_database current_query
    current_role current_schema current_schemas current_setting current_user session_user
    set_config version has_column_privilege has_schema_privilege has_table_privilege
    obj_description col_description currval lastval nextval setval gen_random_uuid
    uuid_generate_v4 uuidv4 uuidv7
"""
_KNOWN = frozenset((_WORDS + _FUNCTIONS).split())


def calls_unknown_function(sql: str) -> bool:
    """Tell whether the text has a bracket behind a name that is none of those known.

    A name with a schema is known where that is pg_catalog. Texts and comments are looked at like
    the rest: what is found there by mistake costs a comment.
    """
    position = sql.find("(")
    while position >= 0:
        end = position
        while end and sql[end - 1] in _BLANKS:
            end -= 1
        if end and (sql[end - 1].isalnum() or sql[end - 1] in '_$"'):
            called = _CALLED.search(sql, max(0, end - _LONGEST_NAME), end)
            if called is not None and not _is_known(called["schema"], called["name"]):
                return True
        position = sql.find("(", position + 1)
    return False


def _is_known(schema: str | None, name: str) -> bool:
    # In quotes a name may be written in any way; here only the usual one is known.
    plain = name.strip('"').lower()
    if schema is not None:
        return schema.rstrip("." + _BLANKS).strip('"').lower() == "pg_catalog"
    return plain in _KNOWN or plain.startswith(_KNOWN_PREFIXES)
