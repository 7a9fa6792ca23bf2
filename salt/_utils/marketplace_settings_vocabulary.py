"""Names that settings may or may not use, as others define them: our contract, PostgreSQL, the Bot API."""

# Environment variables of the application contract: the release sets them.
CONTRACT_VARIABLES = frozenset(
    {
        "PORT",
        "ENVIRONMENT",
        "RELEASE",
        "VERSION",
        "COLOUR",
        "DATABASE_HOST",
        "DATABASE_PORT",
        "DATABASE_NAME",
        "DATABASE_USER",
        "DATABASE_PASSWORD_FILE",
        "DATABASE_SSLMODE",
        "DATABASE_CA_FILE",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_USER",
        "REDIS_PASSWORD_FILE",
        "REDIS_TLS",
        "REDIS_CA_FILE",
        "TELEGRAM_API_URL",
        "TELEGRAM_TOKEN_FILE",
        "WEBHOOK_PATH",
        "WEBHOOK_SECRET_FILE",
        "STOP_GRACE_SECONDS",
    }
)

# postgresql.conf parameters that the tree sets itself, or that must never be touched.
OWN_PARAMETERS = frozenset(
    {
        "listen_addresses",
        "port",
        "max_connections",
        "data_directory",
        "hba_file",
        "ident_file",
        "config_file",
        "external_pid_file",
        "ssl",
        "ssl_cert_file",
        "ssl_key_file",
        "ssl_ca_file",
        "password_encryption",
        "unix_socket_directories",
        "log_destination",
        "logging_collector",
        "fsync",
        "full_page_writes",
        "wal_level",
    }
)

# Kinds of updates in Telegram's Bot API.
UPDATE_KINDS = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
)
