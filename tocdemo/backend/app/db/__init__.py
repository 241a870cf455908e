"""The backend's database layer."""
