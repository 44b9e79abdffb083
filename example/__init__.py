"""An example site: a todo list that uses `bemi` as any site would."""
