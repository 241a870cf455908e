"""What a lesson's text is, as prose: how long it takes, and what each of its claims rests on.

It knows Markdown as the lessons use it, and neither notebooks nor how anything is run.
"""
