"""What dpkg says of packages. Pure."""

# Prints the status and the name of each package that dpkg knows.
QUERY = ("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\n")


def statuses(text: str) -> dict[str, str]:
    """Package -> dpkg's word for it, from what ``QUERY`` prints.

    A package of two architectures has two rows: it is installed where one of them says so.
    """
    rows = sorted((line.split() for line in text.splitlines()), key=lambda row: row[0] == "installed")
    return {package: status for status, package in rows}
