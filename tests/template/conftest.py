"""What the rules look at: the template as written, as expanded by the SAM transform, and the manual."""

import importlib.machinery
import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A folder each: functions/close-order is CloseOrderFunction.
FUNCTIONS = {
    "".join(word.title() for word in folder.name.split("-")) + "Function": folder.name
    for folder in (ROOT / "functions").iterdir()
    if folder.is_dir()
}


def _script(name):
    """A script of .ci/ as a module; its name has no suffix, so it is named to the loader."""
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / ".ci" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def expand():
    """`expand(**parameters)`: the expanded template with these parameters instead of the defaults."""
    script = _script("expand")
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    return lambda **parameters: script.expand(text, **parameters)


@pytest.fixture(scope="session")
def expanded(expand):
    """The expanded template; rules that change it must work on a copy."""
    return expand()


@pytest.fixture(scope="session")
def root():
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def manual():
    """docs/operations.md."""
    return (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
