"""The backend's web API. FastAPI is imported in this package and nowhere else."""
