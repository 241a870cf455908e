"""The ground floor of everything that shows something: small helpers that make HTML, SVG and plain text."""
