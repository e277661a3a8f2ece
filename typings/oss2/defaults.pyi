connect_timeout: int
