"""The rules of the static checker, one subject a module."""
