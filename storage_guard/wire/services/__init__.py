"""What the APIs of object stores have in common: requests and answers, listings, ranges, times, refusals.

The shape alone. What is a service's own (codes, headers, what a failure means there) comes in as an argument.
"""

from __future__ import annotations
