"""A small Telegram marketplace: list an item, browse, buy. It honours the application contract v1."""
