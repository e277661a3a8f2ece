"""What a Store does, carried out: one operation, from its first request to its verdict.

A write is put together by `writing`: `policy` settles what is asked and how it is cut, `creation` brings it to its
verdict, `resolve` finds out who won and says it. It is made of a `payload`, cut from a `source`; its parts are sent
side by side by `sending`, which `lanes` carry, as many as `concurrency` says.

Its other kinds: `many` writes side by side; `resuming` goes on with an upload that was left; `copying` copies and
renames, by the service, or through this machine from a `remote` source. Besides writes: `reading`, made of `ranges`,
and `removal`.
"""
