"""What this machine remembers of open uploads, so that they can outlive their writer.

A write tells its `diary`; the diaries of `journaling` put it down in the `journal`, whose files are held through
`ownfile`. `sweeping` lists open uploads and throws away what nobody goes on with. Who goes on is `engine.resuming`.
"""
