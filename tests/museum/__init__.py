"""The museum: bugs of other people's billing and fleets, each a test named after its source.

A test's docstring says in one sentence what went wrong there, in the source's own sense, and then
the law here. Its history is decided by the platform's deciders (`house.py`), rated by the
platform's books and derived again by the auditor's; expected numbers are worked out by hand. What
came in over HTTP there comes in over HTTP here (`test_readings.py`).

Sources are the threads named (owner/repository#number as on GitHub) and, where there is no number:
Slurm `doc/html/tres.shtml` ("4.5 => 4"), CloudKitty launchpad bug 1860476, Gcore's postmortem of
18 November 2024 (status.gcore.com), WonderProxy's "Free Happy Hour Is Over" of 21 December 2016.
"""
