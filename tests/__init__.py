"""The project's tests; CONTRIBUTING.md says what belongs where."""
