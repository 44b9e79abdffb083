"""The project: settings, addresses, and the entry points of servers."""
