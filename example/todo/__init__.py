"""The app: tasks, and the trail of what happened to them."""
