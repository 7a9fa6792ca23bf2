"""States that a droplet without pillar asks its controller for: both ends of the conversation."""

from io import StringIO

import pytest
from marketplace_controller import answer, ask, asked
from marketplace_salt import SaltCallError

STATES = ("marketplace.secrets", "marketplace.edge")


def test_the_controller_reads_which_and_the_droplet_how_it_went():
    output = StringIO()
    ask(STATES, output, StringIO(answer(None)))
    assert asked(output.getvalue()) == list(STATES)
    with pytest.raises(SaltCallError, match=r"^Ensure x: no$"):
        ask(STATES, output, StringIO(answer("Ensure x: no")))


@pytest.mark.parametrize("said", ["", "nul"])
def test_a_controller_that_is_gone_has_applied_nothing(said):
    with pytest.raises(SaltCallError, match="connection to the controller ended"):
        ask(STATES, StringIO(), StringIO(said))


@pytest.mark.parametrize("line", ["{\n", '    "local": {\n', ""])
def test_what_is_a_part_of_the_answer_asks_for_nothing(line):
    assert asked(line) is None
