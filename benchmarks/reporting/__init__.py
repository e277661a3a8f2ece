"""From JSON lines to a page: `rows` reads them, `advice` says what follows, `svg` draws, `page` and `summary` write."""
