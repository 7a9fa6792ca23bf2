"""SCRAM verifiers: the RFC's own example, and what PostgreSQL would refuse."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_scram import matches, verifier

# RFC 7677, section 3: user "user", password "pencil".
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
# StoredKey and ServerKey follow from the RFC's client proof and server signature.
PENCIL = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)


def test_known_vector():
    assert verifier("pencil", SALT, 4096) == PENCIL


def test_a_verifier_matches_its_password_alone():
    assert matches(PENCIL, "pencil")
    assert not matches(PENCIL, "Pencil")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20))
def test_every_password_matches_its_own_verifier(password):
    made = verifier(password, b"0123456789abcdef", 10)
    assert matches(made, password)
    assert not matches(made, f"{password}x")


def test_two_verifiers_of_one_password_differ():
    assert verifier("same") != verifier("same")


@pytest.mark.parametrize("stored", [None, "", "md5abc", "SCRAM-SHA-256$x:y$z", "SCRAM-SHA-256$4096:!!$a:b"])
def test_what_is_no_verifier_matches_nothing(stored):
    assert not matches(stored, "pencil")


@pytest.mark.parametrize("password", ["", "пароль"])
def test_what_needs_preparation_is_refused(password):
    with pytest.raises(ValueError, match="ASCII"):
        verifier(password)
