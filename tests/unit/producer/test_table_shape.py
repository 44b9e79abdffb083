"""What a configuration's rules do to a relation's columns."""

from __future__ import annotations

from producer import pgoutput
from producer.column_types.column_type import TypeFacts, ValueModes
from producer.configuration.column_rules import ColumnRules
from producer.table_shape import CatalogFacts, TableRules, shape
from tests.unit.producer import pgoutput_bytes as wire

TYPES = {17: "bytea", 1560: "bit", 1700: "numeric"}
PRECISE = ValueModes(debezium_values=True)


def test_a_truncation_cuts_bytes_but_no_number_and_no_bits_that_are_given_as_bytes() -> None:
    columns = [(name, oid, False) for oid, name in TYPES.items()]
    relation = pgoutput.decode(wire.relation(1, "public", "t", columns))
    assert isinstance(relation, pgoutput.Relation)
    # numeric(7,2) and bit(20): a type's modifier has the header's length added to a numeric's.
    modifiers = {"numeric": ((7 << 16) | 2) + 4, "bit": 20}
    described = relation._replace(
        columns=tuple(
            column._replace(type_modifier=modifiers.get(column.name, -1))
            for column in relation.columns
        )
    )
    facts = CatalogFacts(types={oid: TypeFacts(oid, "pg_catalog", n) for oid, n in TYPES.items()})
    rules = TableRules(rule_for=ColumnRules({"column.truncate.to.1.chars": ".*"}).rule_for)
    cut = {}
    for column in shape(described, facts, PRECISE, rules).columns:
        assert column.rule is not None
        assert column.schema is not None
        assert dict(column.schema.parameters)["truncateLength"] == "1"
        cut[column.name] = column.rule.of_value(b"\x01\x02\x03")
    assert cut == {"bytea": b"\x01", "bit": b"\x01\x02\x03", "numeric": b"\x01\x02\x03"}
