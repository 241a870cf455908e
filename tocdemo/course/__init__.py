"""The course: its manifest, the notebooks built from the lessons, and how JupyterLab is started on them."""
