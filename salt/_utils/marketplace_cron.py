"""Times as cron writes them (``30 3 * * 1-5``): reading them, and which minutes they mean. Pure.

Only the five fields are read: no @daily, no seconds, no names of commands. What a field may hold is as in crontab(5).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ITEM = re.compile(r"(?P<first>\*|[a-z0-9]+)(?:-(?P<last>[a-z0-9]+))?(?:/(?P<step>[0-9]+))?")
MINUTE = timedelta(minutes=1)
# The calendar repeats itself, with its weekdays, after at most so many years.
_YEARS = 28


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()

    def read(self, text: str) -> frozenset[int]:
        """The numbers that a field's text means.

        Raises:
            ValueError: it means none; the message says why.
        """
        return frozenset(number for item in text.split(",") for number in self._item(item))

    def _item(self, item: str) -> range:
        found = _ITEM.fullmatch(item.lower())
        if found is None:
            raise ValueError(f"{self.name} '{item}' is not *, a number, a range or a list of them")
        step = int(found["step"] or 1)
        if found["first"] == "*":
            first, last = self.low, self.high
        else:
            first = self._number(found["first"])
            last = self._number(found["last"]) if found["last"] else (self.high if found["step"] else first)
        if (found["first"] == "*" and found["last"]) or first > last or not step:
            raise ValueError(f"{self.name} '{item}' is no range from low to high")
        return range(first, last + 1, step)

    def _number(self, word: str) -> int:
        number = self.words.index(word) + self.low if word in self.words else -1
        if word.isdigit():
            number = int(word)
        if not self.low <= number <= self.high:
            raise ValueError(f"{self.name} '{word}' is not from {self.low} to {self.high}")
        return number


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 7, _DAYS),
)


@dataclass(frozen=True)
class Cron:
    """A time. As in cron, a day fits by its date or by its weekday where both are said.

    Attributes:
        every_hour: whether the hour is left open, so that clocks which are put back or forward make no difference.
        any_day: whether date or weekday is left open; then both have to fit, else one of them.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    every_hour: bool
    any_day: bool

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read five fields.

        Raises:
            ValueError: they are none, or mean a day that never comes.
        """
        words = text.split()
        if len(words) != len(_FIELDS):
            raise ValueError(f"has {len(words)} fields, expected five: minute hour day month weekday")
        minutes, hours, days, months, weekdays = (
            field.read(word) for field, word in zip(_FIELDS, words, strict=True)
        )
        made = cls(
            minutes,
            hours,
            days,
            months,
            frozenset(number % 7 for number in weekdays),  # 7 is Sunday as well
            every_hour=words[1].startswith("*"),
            any_day=words[2].startswith("*") or words[4].startswith("*"),
        )
        if next(made._walls(datetime(2024, 1, 1)), None) is None:
            raise ValueError("means a day that never comes")
        return made

    def on(self, day: datetime) -> bool:
        """Whether a day fits."""
        date, weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and ((date and weekday) if self.any_day else (date or weekday))

    def at(self, wall: datetime) -> bool:
        """Whether a minute fits, as a clock on the wall shows it."""
        return wall.minute in self.minutes and wall.hour in self.hours and self.on(wall)

    def next(self, after: datetime, zone: ZoneInfo) -> datetime:
        """The first minute behind ``after`` (aware) that fits, in UTC."""
        local = after.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
        moments = (wall.replace(tzinfo=zone).astimezone(UTC) for wall in self._walls(local))
        return next(moment for moment in moments if moment > after)

    def _walls(self, since: datetime) -> Iterator[datetime]:
        """The minutes that fit from ``since`` on, as a clock on the wall shows them."""
        midnight = since.replace(hour=0, minute=0)
        for number in range(_YEARS * 366):
            day = midnight + timedelta(days=number)
            if not self.on(day):
                continue
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    wall = day.replace(hour=hour, minute=minute)
                    if wall >= since:
                        yield wall


def latest(cron: Cron, zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The last minute in (``after``, ``until``] that fits, both aware; None where none does.

    Where clocks are put forward, an hour that is left out comes at once; where they are put back, one that comes again
    was already. A time that leaves its hour open goes by the minutes that really pass.
    """
    moment = until.astimezone(UTC).replace(second=0, microsecond=0)
    while moment > after:
        if any(cron.at(wall) for wall in _shown(moment, zone, cron.every_hour)):
            return moment
        moment -= MINUTE
    return None


def _shown(moment: datetime, zone: ZoneInfo, as_it_is: bool) -> list[datetime]:
    """What a clock on the wall shows in a minute: usually one time, or those it left out just before as well."""
    local = moment.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    if as_it_is:
        return [wall]
    if local.fold:
        return []
    before = (moment - MINUTE).astimezone(zone).replace(tzinfo=None, fold=0)
    jump = max(1, int((wall - before) / MINUTE))
    return [wall - MINUTE * number for number in range(jump)]
