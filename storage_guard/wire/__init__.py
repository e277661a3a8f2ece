"""HTTP for the backends of cloud services: each request is sent once, or known not to have been sent.

`Transport` is for exchanges of any size, one a call; `Loop` for very many small ones. What goes wrong is told in the
signals of `storage_guard.driver`. The core of storage_guard does not import this package.
"""

from __future__ import annotations
