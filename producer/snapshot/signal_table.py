"""Find the signals among the rows that are streamed: those inserted into the signal table. Pure."""

from __future__ import annotations

from producer.pgoutput import Relation
from producer.relations import RelationRows
from producer.row_codec import CellCodec
from producer.table_shape import ShapedColumn, TableShape

_INSERT = ord("I")
_COLUMNS = ("id", "type", "data")
_TEXT = CellCodec(None, bytes.decode, None, None)


class SignalTable:
    """The table of signal.data.collection, once the stream has described it."""

    def __init__(self, name: str) -> None:
        # Debezium names it with the database in front, or without.
        self._names = {name, ".".join(name.split(".")[-2:])} if name else set()
        self._oid = b""
        self._rows: RelationRows | None = None
        self._places: tuple[int, ...] = ()

    @property
    def is_configured(self) -> bool:
        """Tell whether there is such a table."""
        return bool(self._names)

    def is_it(self, pg_schema: str, table: str) -> bool:
        """Tell whether this is the table that signals are inserted into."""
        return f"{pg_schema}.{table}" in self._names

    def describe(self, relation: Relation) -> None:
        """Take note of a relation that the stream describes."""
        if not self.is_it(relation.pg_schema, relation.table):
            return
        columns = tuple(ShapedColumn(c.name, c.is_identity) for c in relation.columns)
        names = [column.name for column in columns]
        if len(names) < len(_COLUMNS):
            return
        # By their places, as Debezium has it, where they have other names.
        self._places = tuple(
            names.index(name) if name in names else place for place, name in enumerate(_COLUMNS)
        )
        shape = TableShape(
            relation.oid, relation.pg_schema, relation.table, False, False, columns, ()
        )
        self._rows = RelationRows(shape, [_TEXT] * len(columns))
        self._oid = relation.oid.to_bytes(4, "big")

    def signal(self, data: bytes, at: int) -> tuple[str, str, str | None] | None:
        """Return id, type and data of the signal that a row message is, None if it is none."""
        if self._rows is None or data[at] != _INSERT or data[at + 1 : at + 5] != self._oid:
            return None
        cells = self._rows.inserted(data, data.decode("latin-1"), at)
        signal_id, kind, content = (cells[place] for place in self._places)
        return signal_id or "", kind or "", content
