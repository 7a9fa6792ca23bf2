"""The settings of the public edge and of Telegram's side of it; part of marketplace_settings_model."""

# The declaring functions return dataclasses.field(), which is immutable and meant to be called here.
# ruff: noqa: RUF009

from dataclasses import dataclass

from marketplace_settings_fields import derived, section, setting
from marketplace_settings_kinds import Boolean, Choice, Integer, ListOf, Text, size
from marketplace_settings_kinds_net import Authority, Domain, Networks, Pem, Url
from marketplace_settings_vocabulary import UPDATE_KINDS
from marketplace_units import KIB, MIB


@dataclass(frozen=True, kw_only=True)
class EdgeLimits:
    requests: int = setting(
        Integer("100", "whole number", 5, 100_000), "requests in ten seconds; more are answered 429", 100
    )
    connections: int = setting(
        Integer("32", "whole number", 2, 2000), "connections at a time; more are refused", 32
    )


@dataclass(frozen=True, kw_only=True)
class Edge:
    domains: list[str] = setting(
        ListOf(
            "[bot.your-company.com]", "list of domain names", Domain("bot.your-company.com", "domain name")
        ),
        "public names; Telegram's webhook goes to the first",
    )
    webhook_path: str = setting(
        Text(
            "/telegram/webhook",
            "path",
            r"(?:/[A-Za-z0-9_-]{1,64}){1,8}",
            "a path like /telegram/webhook",
            refused=("/healthz",),
        ),
        "where the backend takes updates; the public address has an unguessable part behind it",
        "/telegram/webhook",
    )
    certificate: str = setting(
        Authority("letsencrypt", "local, letsencrypt, letsencrypt-staging or the URL of an ACME directory"),
        "where the certificate comes from; local is self-signed, and Telegram is given it to trust",
        "local",
    )
    email: str = setting(
        Text(
            "ops@your-company.com",
            "e-mail address",
            r"[^@\s]{1,64}@[A-Za-z0-9.-]{1,190}",
            "an e-mail address",
            optional=True,
        ),
        "whom the certificate's authority may write to",
        "",
    )
    root: str = setting(
        Pem(
            '"-----BEGIN CERTIFICATE-----\\nMIIB...\\n-----END CERTIFICATE-----"',
            "certificate in PEM form, or nothing",
        ),
        "root of an authority that not everybody trusts (letsencrypt-staging, your own): Telegram is given it",
        "",
    )
    body_limit: int = setting(
        size("1M", 16 * KIB, 64 * MIB), "largest update that is let in; Telegram's are some kilobytes", "1M"
    )
    limits: EdgeLimits = section(EdgeLimits, "what one source may do that is not Telegram")
    directory: str = derived("the authority's ACME directory; empty for local")


@dataclass(frozen=True, kw_only=True)
class Telegram:
    api_url: str = setting(Url("https://api.telegram.org", "URL"), "the Bot API", "https://api.telegram.org")
    networks: list[str] = setting(
        Networks("[149.154.160.0/20, 91.108.4.0/22]", "list of networks"),
        "where webhook calls may come from",
        ["149.154.160.0/20", "91.108.4.0/22"],
    )
    allowed_updates: list[str] = setting(
        ListOf(
            "[message, callback_query]",
            "list of update kinds",
            Choice("message", "update kind", UPDATE_KINDS),
        ),
        "kinds of updates that Telegram sends",
        [
            "message",
            "edited_message",
            "callback_query",
            "inline_query",
            "chosen_inline_result",
            "shipping_query",
            "pre_checkout_query",
            "my_chat_member",
        ],
    )
    register: bool = setting(
        Boolean("true", "true or false"),
        "whether this host serves the bot; while another one does, state.apply leaves the webhook alone, and neither "
        "the worker nor scheduled jobs run",
        True,
    )
    max_connections: int = setting(
        Integer("40", "whole number", 1, 100), "webhook calls that Telegram makes at a time", 40
    )
