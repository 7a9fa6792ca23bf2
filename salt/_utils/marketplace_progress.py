"""What a release tells while it runs. Telling must never fail: it is a view of the release, not a part of it."""


class Progress:
    """Takes what the engine tells, and by itself keeps quiet."""

    def begin(self, step: str) -> None:
        """A step begins."""

    def update(self, words: str) -> None:
        """How far the step is that runs: replaces what was said of it before."""

    def end(self, step: str, outcome: str, seconds: float, detail: str) -> None:
        """A step is over: ``outcome`` as in its record (``done``, ``failed``, ``undone``)."""

    def say(self, words: str) -> None:
        """A line for people that belongs to no step's end."""
