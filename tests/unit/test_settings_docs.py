from marketplace_settings_fields import REQUIRED, walk
from marketplace_settings_fixed import ALWAYS, WHILE_LIVE
from marketplace_settings_model import Settings
from marketplace_settings_secrets import CATALOGUE

from tools import settings_docs


def test_the_document_is_in_step_with_the_parser():
    document = settings_docs.DOCUMENT.read_text()
    assert document == settings_docs.in_step(document), "tools/settings_docs.py --write puts it in step"


def test_the_schema_is_in_step_with_the_parser():
    assert settings_docs.SCHEMA.read_text() == settings_docs.schema(), (
        "tools/settings_docs.py --write puts it in step"
    )


def test_every_setting_and_secret_is_documented():
    document = settings_docs.DOCUMENT.read_text()
    for path, declared in walk(Settings):
        assert f"| `{path}` | {settings_docs.meaning(path, declared)} |" in document
    for name in CATALOGUE:
        assert f"| `{name}` |" in document


def test_what_is_fixed_is_marked():
    document = settings_docs.DOCUMENT.read_text()
    assert document.count(" (chosen once) |") == len(ALWAYS)
    assert document.count(" (fixed while a release is live) |") == len(WHILE_LIVE)


def test_examples_and_defaults_are_right_values():
    """What an error recommends must pass itself."""
    import yaml

    for path, declared in walk(Settings):
        if declared.default is not REQUIRED:
            declared.kind.read(declared.default)
        if not path.endswith(".digest"):
            declared.kind.read(yaml.safe_load(declared.kind.example))
