"""Each `aws` and `sam` command that a page prints is one that these programs take.

Nothing is asked of AWS: operations, options and the shapes of values come from botocore's models of
the services, options of `sam` from the SAM CLI itself.
"""

import functools
import importlib
import json
import re
import shlex
import subprocess
import sys
import tomllib

import botocore.session
import botocore.validate
import pytest

PAGES = ["README.md", "README.zh-CN.md", "docs/operations.md", "docs/data-model.md", "events/README.md"]
GLOBAL = {"--endpoint-url", "--output", "--profile", "--query", "--region"}
# Commands of the AWS CLI's own that no service has, and services that it calls otherwise.
OWN = {"s3"}
RENAMED = {"deploy": "codedeploy"}
SAM = {
    ("build",): "samcli.commands.build.command",
    ("deploy",): "samcli.commands.deploy.command",
    ("local", "invoke"): "samcli.commands.local.invoke.cli",
    ("local", "start-api"): "samcli.commands.local.start_api.cli",
    ("validate",): "samcli.commands.validate.validate",
}
SUBSTITUTION = re.compile(r"\$\((?:[^()]|\([^()]*\))*\)")


def _scripts(text):
    """The shell blocks of a page, and the commands that stand in its sentences."""
    blocks = re.findall(r"^ *```(?:bash|sh)\b.*?\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`((?:aws|sam) [a-z][^`]*)`", prose)
    return blocks + [re.sub(r"\s*\n\s*", " ", span) for span in spans]


def _commands(text):
    """The commands of a page, as lists of words; a word that the shell would fill in has a `$`."""
    for script in _scripts(text):
        script = script.replace("\\\n", " ")
        for start in re.finditer(r"(?<![\w./-])(?:aws|sam) [a-z]", script):
            lexer = shlex.shlex(
                SUBSTITUTION.sub("$filled", script[start.start():]), posix=True, punctuation_chars="();<>|&\n"
            )
            lexer.whitespace, lexer.commenters, lexer.whitespace_split = " \t", "", True
            words = []
            for word in lexer:
                if word.startswith("#") or set(word) <= set("();<>|&\n"):
                    break
                words.append(word)
            yield words


def _options(words):
    """Options with the values that follow each."""
    options = []
    for word in words:
        if word.startswith("--"):
            options.append((word, []))
        else:
            assert options, f"{word} belongs to no option"
            options[-1][1].append(word)
    return dict(options)


def _value(shape, text):
    if shape.type_name in ("structure", "map", "list") and text[0] not in "[{":
        # The short form, as far as the pages use it.
        return {key: _plain(value) for key, _, value in (part.partition("=") for part in text.split(","))}
    if shape.type_name in ("structure", "map", "list"):
        return json.loads(text)
    # What the reader fills in is as long as it must be.
    return _plain(text) if shape.type_name in ("integer", "long") else text.replace("…", "…" * 64)


def _plain(text):
    known = {"true": True, "false": False, "{}": {}}
    return known.get(text, int(text) if text.isdigit() else text)


_session = functools.cache(botocore.session.get_session)


@functools.cache
def _model(service):
    return _session().get_service_model(RENAMED.get(service, service))


def _fault_of_aws(words):
    """What is wrong with an `aws` command, or nothing."""
    _, service, operation, *rest = words
    if service in OWN:
        return None
    model = _model(service)
    if operation == "wait":
        waiters = _session().get_waiter_model(service)
        names = {botocore.xform_name(name, "-"): name for name in waiters.waiter_names}
        if rest[0] not in names:
            return f"{service} has no waiter {rest[0]}"
        operation, rest = botocore.xform_name(waiters.get_waiter(names[rest[0]]).operation, "-"), rest[1:]
    operations = {botocore.xform_name(name, "-"): name for name in model.operation_names}
    if operation not in operations:
        return f"{service} has no operation {operation}"
    shape = model.operation_model(operations[operation]).input_shape
    members = {f"--{botocore.xform_name(name, '-')}": name for name in shape.members}
    given = {}
    for option, values in _options(rest).items():
        if option in GLOBAL:
            continue
        name = members.get(option) or members.get(option.replace("--no-", "--", 1))
        if name is None:
            return f"{operation} has no option {option}"
        member = shape.members[name]
        if member.type_name == "boolean":
            given[name] = not option.startswith("--no-")
        elif "$filled" in values and member.type_name == "list":
            given[name] = []
        elif member.type_name == "list" and not values[0].startswith("["):
            given[name] = [_value(member.member, value) for value in values]
        else:
            (value,) = values
            given[name] = _value(member, value)
    report = botocore.validate.ParamValidator().validate(given, shape)
    return report.generate_report() if report.has_errors() else None


def _fault_of_sam(words, parameters):
    """What is wrong with a `sam` command, or nothing."""
    name = tuple(words[1:3]) if words[1] == "local" else (words[1],)
    if name not in SAM:
        return f"sam has no {' '.join(name)}, or this rule does not know it"
    command = importlib.import_module(SAM[name]).cli
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("-") and word not in known:
            return f"sam {' '.join(name)} has no option {word}"
    if "--parameter-overrides" in words:
        for word in words[words.index("--parameter-overrides") + 1:]:
            if "=" not in word or word.split("=")[0] not in parameters:
                return f"the template has no parameter {word}"
    return None


def _fault(words, parameters):
    return _fault_of_aws(words) if words[0] == "aws" else _fault_of_sam(words, parameters)


@pytest.mark.parametrize("page", PAGES)
def a_printed_command_is_one(page, root, expanded):
    for words in _commands((root / page).read_text(encoding="utf-8")):
        assert _fault(words, expanded["Parameters"]) is None, " ".join(words)


def the_manual_prints_many(manual):
    commands = [words[:3] for words in _commands(manual)]
    assert len([words for words in commands if words[0] == "aws"]) >= 25
    assert len([words for words in commands if words[0] == "sam"]) >= 8


@pytest.mark.parametrize(
    "command",
    [
        "aws secretsmanager update-secret-version-stage --version-stage AWSCURRENT",
        "aws dynamodb update-table --warm-throughput ReadUnitsPerSecond=12000",
        "aws dynamodb update-table --table-name t --warm-throughput ReadUnits=12000",
        "aws dynamodb put-item --table-name t --item '{\"pk\": \"a\"}'",
        "aws dynamodb wait table-exist --table-name t",
        "aws lambda update-alias --function-name f --name live --version 1",
        "aws lambda point-alias --function-name f",
        "sam deploy --guide",
        "sam build --parameter-overrides Arch=x86_64",
    ],
)
def a_command_that_would_fail_is_noticed(command, expanded):
    (words,) = _commands(f"```sh\n{command}\n```\n")
    assert _fault(words, expanded["Parameters"])


def _deployments(root):
    """The `deploy` sections of samconfig.toml, as SAM reads them: region, and parameters by name."""
    config = tomllib.loads((root / "samconfig.toml").read_text(encoding="utf-8"))
    overrides = importlib.import_module("samcli.cli.types").CfnParameterOverridesType()
    for environment, commands in config.items():
        if environment != "version":
            deploy = commands["deploy"]["parameters"]
            # An environment without a `build` of its own is built as the default one.
            build = commands.get("build", config["default"]["build"])["parameters"]
            given = [overrides.convert(section["parameter_overrides"], None, None) for section in (deploy, build)]
            yield environment, deploy["region"], *given


def a_deployment_asks_for_no_parameter(root, expanded):
    """What has no default is named in samconfig.toml, by a word that the template refuses until it is replaced."""
    deployments = list(_deployments(root))
    assert [name for name, *_ in deployments] == ["default", "staging"]
    regions = set(_session().get_available_regions("dynamodb"))
    for environment, region, deployed, built in deployments:
        assert region in regions, environment
        assert {*deployed, *built} <= set(expanded["Parameters"]), environment
        for name, parameter in expanded["Parameters"].items():
            assert name in deployed or "Default" in parameter, f"{environment}: {name}"
        words = {name: value for name, value in deployed.items() if value.isupper()}
        # Whichever is the account's first deployment, its bill has a bound.
        assert set(words) == {"Mchid", "Appid", "AlarmEmail", "BudgetEmail"}, environment
        for name, word in words.items():
            assert not re.fullmatch(expanded["Parameters"][name]["AllowedPattern"], word), name
        assert deployed["Architecture"] == built["Architecture"], environment


def the_manual_reads_the_region_that_sam_deploys_to(root, manual):
    """`aws` commands follow samconfig.toml: what the page's `sed` finds first is the default's region."""
    (pattern,) = re.findall(r"AWS_REGION=\$\(sed -n 's/(.*?)/", manual)
    pattern = pattern.replace("\\(", "(").replace("\\)", ")")
    found = re.findall(pattern, (root / "samconfig.toml").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found[0] == next(region for environment, region, *_ in _deployments(root) if environment == "default")


@pytest.mark.parametrize(("arguments", "told"), [([], "python pay.py DATA_FOLDER"), (["sim"], "pip install wechatpayv3")])
def the_example_says_what_is_missing(root, arguments, told):
    """Without its package, too, which nobody has before reading how to call it."""
    example = root / "simulator" / "examples" / "pay.py"
    # -I -S: no package of anybody's is seen.
    ran = subprocess.run(
        [sys.executable, "-I", "-S", example, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 1, ran
    assert told in ran.stderr, ran
    assert "Traceback" not in ran.stderr, ran
