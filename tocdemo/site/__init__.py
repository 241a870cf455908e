"""The course as pages to read: a static site in which every output comes from a run of the lesson.

It turns texts, executed notebooks, docstrings and commands into pages, and knows nothing of what they teach.
"""
