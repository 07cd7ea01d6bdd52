"""What the rules look at: the template as written, as expanded by the SAM transform, and the manual."""

import importlib.machinery
import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

NO_VALUE = {"Ref": "AWS::NoValue"}

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


def _decided(value, condition, holds):
    """The value as CloudFormation makes it where this condition holds or does not."""
    if isinstance(value, list):
        decided = [_decided(part, condition, holds) for part in value]
        return [part for part in decided if part != NO_VALUE]
    if not isinstance(value, dict):
        return value
    if value.get("Fn::If", [None])[0] == condition:
        return _decided(value["Fn::If"][1 if holds else 2], condition, holds)
    decided = {name: _decided(part, condition, holds) for name, part in value.items()}
    return {name: part for name, part in decided.items() if part != NO_VALUE or value[name] == NO_VALUE}


@pytest.fixture(scope="session")
def expand():
    """`expand(**parameters)`: the expanded template with these parameters instead of the defaults, as it is
    with platform certificates or without them."""
    script = _script("expand")
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")

    def expand(**parameters):
        certificates = parameters.get("PlatformCertificates") == "on"
        return _decided(script.expand(text, **parameters), "UseCertificates", certificates)

    return expand


@pytest.fixture(scope="session")
def expanded(expand):
    """The expanded template; rules that change it must work on a copy."""
    return expand()


@pytest.fixture(scope="session")
def expanded_with_certificates(expand):
    """The same for a merchant with platform certificates."""
    return expand(PlatformCertificates="on")


@pytest.fixture(scope="session")
def root():
    """The repository's folder."""
    return ROOT


@pytest.fixture(scope="session")
def manual():
    """docs/operations.md."""
    return (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
