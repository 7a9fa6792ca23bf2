"""The bot in a container: when it is ready, and how it answers an update."""

from tests.simulation.clock import SimClock
from tests.simulation.containers import Container
from tests.simulation.database import SimDatabase

# Seconds from a container's start until its application is ready.
BOOT = 1.5
# Seconds from a container's start until one of the kind that goes bad later does.
LATER = 4.0


class Application:
    """Judges containers by their images, by the schema and by the time."""

    def __init__(self, clock: SimClock, database: SimDatabase) -> None:
        self.clock = clock
        self.database = database

    def works_with_schema(self, container: Container) -> bool:
        """Whether its migrations are all applied, and none behind them that breaks it."""
        content = self.database.content
        known = {change.revision for change in container.image.migrations}
        applied = {change.revision for change in content.applied}
        beyond = (change for change in content.applied if change.revision not in known)
        return known <= applied and not content.half and not any(change.breaks for change in beyond)

    def accepts(self, container: Container | None) -> bool:
        """Whether it takes connections."""
        return (
            container is not None and container.running and self.clock.seconds >= container.started_at + BOOT
        )

    def ready(self, container: Container | None) -> bool:
        """Whether its readiness path says so."""
        if container is None or not self.accepts(container) or container.image.behaviour == "never_ready":
            return False
        return self.database.answers and self.works_with_schema(container)

    def handles(self, container: Container, update: int) -> bool:
        """Handle an update: 200 and the effect is there, or 500 and it is not."""
        behaviour = container.image.behaviour
        bad = behaviour == "errors" or (
            behaviour == "errors_later" and self.clock.seconds >= container.started_at + LATER
        )
        if bad or not self.database.answers or not self.works_with_schema(container):
            return False
        self.database.content.handled.add(update)
        return True
