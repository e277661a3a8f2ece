"""What `Store.open` gives: objects as files.

`opening` reads the mode. To write: `writer` for bytes and `textual` for text, which share one life, the `draft`;
`pouring` sends its bytes while they come. To read: `reader`. `compression` packs and unpacks for both.
"""
