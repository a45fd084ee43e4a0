"""What each section of a report shows: one file a section, and the run that they are all about.

A section is found by its heading on the page; ``fgvr/reports/content.py`` puts them together for the template.
"""
