"""The settings that a release reads, as in settings.json."""

from typing import Any

from tests.simulation.images import REPOSITORY


def settings(**backend: Any) -> dict[str, Any]:
    """Settings; ``backend``: what is different below that key."""
    return {
        "environment": "development",
        "droplet": {"timezone": "Etc/UTC"},
        "network": {"app": {"name": "app"}, "data": {"name": "data"}},
        "backend": {
            "image": REPOSITORY,
            "version": "1.0.0",
            "user": "10001:10001",
            "port": 8080,
            "limits": {"memory": 256 << 20, "job_memory": 64 << 20, "cpus": 0.5, "pids": 128},
            "environment": {"LOG_LEVEL": "info"},
            "ready_timeout": 30,
            "stop_grace": 20,
            "migration_timeout": 60,
            "keep_releases": 5,
            "soak": 20,
            "soak_errors": 5,
            "hooks": {"before": [], "after": []},
            "hook_timeout": 60,
            "disk_reserve": 2 << 30,
            "addresses": {
                "blue": {"app": "10.213.10.21", "data": "10.213.20.21"},
                "green": {"app": "10.213.10.22", "data": "10.213.20.22"},
                "migration": {"app": "10.213.10.30", "data": "10.213.20.30"},
            },
            **backend,
        },
        "postgres": {
            "address": "10.213.20.10",
            "port": 5432,
            "tls": True,
            "database": "marketplace",
            "roles": {"owner": "marketplace_owner", "application": "marketplace_app"},
        },
        "redis": {
            "address": "10.213.20.11",
            "port": 6380,
            "tls": True,
            "users": {"application": "marketplace"},
        },
        "backup": {"max_drill_age": 7},
        "telegram": {"api_url": "http://botapi.test:8081"},
        "edge": {"webhook_path": "/telegram/webhook"},
    }
