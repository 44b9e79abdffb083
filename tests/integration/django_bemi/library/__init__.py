"""An app of the tests: authors and their books, with a column of every type."""
