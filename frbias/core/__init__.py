"""The reusable toolkit behind the commands."""
