"""What systemd keeps from the units that this tree writes by code, as lines of a [Service] section."""

# Whatever a unit does: it needs no other personality, kernel, clock, namespace or real-time share than it has.
ALWAYS = (
    "LockPersonality=yes",
    "NoNewPrivileges=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
)

# The release engine, as root: it drives Docker, writes below /etc/marketplace, /var and /run, and runs the operator's
# hooks, which may be any program (so memory may be made executable, /tmp is everybody's, and other processes are seen).
ENGINE = (
    *ALWAYS,
    "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL "
    "CAP_SETGID CAP_SETUID",
    "PrivateDevices=yes",
    "ProtectHome=read-only",
    "ProtectSystem=full",
    "ReadWritePaths=-/etc/marketplace",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallFilter=@system-service",
)

# One program that makes one system call about one file.
SWAP = (
    *ALWAYS,
    "CapabilityBoundingSet=CAP_SYS_ADMIN",
    "IPAddressDeny=any",
    "MemoryDenyWriteExecute=yes",
    "PrivateNetwork=yes",
    "ProtectHome=yes",
    "ProtectProc=invisible",
    "ProtectSystem=full",
    "RestrictAddressFamilies=none",
    "SystemCallFilter=@system-service @swap",
    "UMask=0077",
)
