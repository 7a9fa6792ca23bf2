"""PostgreSQL and Redis numbers that follow the memory, disk and CPUs these services are given."""

import math

from marketplace_units import GIB, KIB, MIB


def _amount(size: int) -> str:
    """``size`` bytes as postgresql.conf writes it."""
    return f"{size // MIB}MB" if size >= MIB else f"{size // KIB}kB"


def _between(low: int, size: int, high: int) -> int:
    return max(low, min(size, high))


def postgres_tuning(memory: int, disk: int, cpus: float, max_connections: int) -> dict[str, str]:
    """postgresql.conf parameters for a server in a container of its own on an SSD.

    Args:
        memory: bytes the container may use; its page cache counts too.
        disk: bytes of its file system.
        cpus: CPUs it may use.
        max_connections: connections at a time.
    """
    workers = max(1, math.ceil(cpus))
    max_wal = _between(64 * MIB, disk // 8, GIB)
    return {
        "shared_buffers": _amount(memory // 4),
        "effective_cache_size": _amount(memory * 5 // 8),
        # A query may use several of these, so a connection gets well under its share of what is left.
        "work_mem": _amount(_between(MIB, memory // 4 // max_connections, 64 * MIB)),
        "maintenance_work_mem": _amount(_between(16 * MIB, memory // 16, 512 * MIB)),
        "autovacuum_work_mem": _amount(_between(8 * MIB, memory // 32, 256 * MIB)),
        "max_wal_size": _amount(max_wal),
        "min_wal_size": _amount(max(32 * MIB, max_wal // 8)),
        "checkpoint_completion_target": "0.9",
        "wal_compression": "on",
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "max_worker_processes": str(workers + 4),
        "max_parallel_workers": str(workers),
        "max_parallel_workers_per_gather": str(max(1, workers // 2)),
        "jit": "off",
    }


def postgres_shm_size(memory: int) -> int:
    """Bytes of /dev/shm for a PostgreSQL container of ``memory`` bytes: Docker's 64 MB break parallel queries."""
    return _between(64 * MIB, memory // 4, GIB)


def redis_maxmemory(memory: int) -> int:
    """Bytes of data for a Redis container of ``memory`` bytes.

    While a snapshot is written, every page that changes exists twice: as much again at worst, and buffers besides.
    """
    return memory * 45 // 100 // MIB * MIB
