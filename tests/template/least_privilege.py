"""What each role may do is exactly what docs/operations.md, "What each function may do", says.

A permission is a triple (role, action, resource); the table's name is followed by the beginning of the
partition keys that the role is bound to, `Table ORDER#*`. The table in the manual and the statements of the
expanded template are both turned into sets of triples, and the sets must be equal: taking any one
permission out of the template, or adding one, turns a rule red. The last two rules prove that by
doing it. That the functions use what they are given is shown by the Rust tests, which record every
action at run time.
"""

import copy
import json
import re

import pytest
from conftest import FUNCTIONS

TABLE_HEADING = "### What each function may do"
CERTIFICATES_HEADING = "### What platform certificates add"
# What the partition keys of the table and of the index `listed` begin with.
FAMILIES = ["KEYS#", "NOTICE#", "ORDER#", "REFUND#", "REFUNDNO#", "SKU#"]
SECRETS = {"SigningSecret", "WechatpaySecret", "Apiv3Secret", "AppSecret", "ApiSecret"}
BUCKET = "ReportsBucket"
# Those that hold no key that signs, and must not come to hold it; the manual's table says it of the others.
NEVER_SIGN = {"LoginFunction", "NotifyCallbackFunction"}

# Written by SAM and AWS, not by us: logs and traces, the schedule's own role, CodeDeploy's.
LOGS_AND_TRACES = {
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
    "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
}
OTHER_ROLES = {"SweepFunctionEveryMinuteRole", "ReconcileFunctionUntilDoneRole", "CodeDeployServiceRole", "EventsUrlRole"}

# Every type of resource that the expanded template has. A further one is a decision: there are types
# that grant something without any role being changed, such as a policy of a secret, queue or topic.
TYPES = {
    "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::Stage", "AWS::Budgets::Budget", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup", "AWS::DynamoDB::Table", "AWS::Events::ApiDestination", "AWS::Events::Connection", "AWS::Events::EventBus", "AWS::Events::Rule", "AWS::IAM::Role", "AWS::KMS::Key",
    "AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Function", "AWS::Lambda::Permission",
    "AWS::Lambda::Version", "AWS::Logs::LogGroup", "AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition", "AWS::S3::Bucket", "AWS::SNS::Subscription",
    "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "AWS::Scheduler::Schedule", "AWS::SecretsManager::Secret",
}


def _list(value):
    return value if isinstance(value, list) else [value]


def _resource(value):
    """The logical name of a resource, with what follows it: `Table`, `Table/index/due`."""
    if value == "*" or isinstance(value, str):
        return value
    if "Ref" in value:
        return value["Ref"]
    if "Fn::GetAtt" in value:
        name, attribute = value["Fn::GetAtt"]
        assert attribute in ("Arn", "StreamArn"), value
        return name if attribute == "Arn" else f"{name}.{attribute}"
    return re.sub(r"\$\{(\w+)\.Arn\}", r"\1", value["Fn::Sub"])


def _keys(statement):
    """What follows the resource's name where the statement is bound to partition keys: ` ORDER#*`."""
    if "Condition" not in statement:
        return [""]
    conditions = dict(statement["Condition"])
    attributes = conditions.pop("ForAllValues:StringEquals", {"dynamodb:Attributes": ["pk"]})
    assert list(attributes) == ["dynamodb:Attributes"] and attributes["dynamodb:Attributes"], statement
    ((operator, keys),) = conditions.items()
    ((name, patterns),) = keys.items()
    assert (operator, name) == ("ForAllValues:StringLike", "dynamodb:LeadingKeys"), statement
    assert patterns and set(patterns) <= {f"{family}*" for family in FAMILIES}, statement
    return [f" {pattern}" for pattern in patterns]


def _granted(expanded, role):
    """The triples that the inline statements of `role` allow."""
    properties = expanded["Resources"][role]["Properties"]
    triples = set()
    for policy in properties.get("Policies", []):
        for statement in _list(policy["PolicyDocument"]["Statement"]):
            parts = set(statement) - {"Condition"}
            assert statement["Effect"] == "Allow" and parts == {"Effect", "Action", "Resource"}, statement
            for action in _list(statement["Action"]):
                for resource in _list(statement["Resource"]):
                    triples |= {(role, action, _resource(resource) + key) for key in _keys(statement)}
    return triples


def _documented(manual, heading=TABLE_HEADING):
    """The triples of the table in the manual."""
    assert heading in manual
    lines = manual.split(heading, 1)[1].split("\n#", 1)[0].splitlines()
    rows = [line.strip().strip("|").split("|") for line in lines if line.startswith("| `")]
    triples = set()
    for row in rows:
        function, _, _, secrets, keys, queues, *_ = [re.findall(r"`([^`]+)`", cell) for cell in row]
        role = f"{function[0]}Role"
        for part in filter(str.strip, row[1].split(";")):
            actions, families = [re.findall(r"`([^`]+)`", names) for names in part.split(" of ")]
            triples |= {(role, f"dynamodb:{action}", f"Table {family}*") for action in actions for family in families}
        for part in filter(str.strip, row[2].split(";")):
            indexes, families = [re.findall(r"`([^`]+)`", names) for names in (*part.split(" of "), "")][:2]
            bounds = [f" {family}*" for family in families] or [""]
            triples |= {(role, "dynamodb:Query", f"Table/index/{index}{bound}") for index in indexes for bound in bounds}
        triples |= {(role, "secretsmanager:GetSecretValue", secret) for secret in secrets}
        triples |= {(role, "kms:Decrypt", key) for key in keys}
        triples |= {(role, "sqs:SendMessage", queue) for queue in queues}
        for part in filter(str.strip, row[6].split(";") if len(row) > 6 else []):
            actions, resources = [re.findall(r"`([^`]+)`", names) for names in part.split(" of ")]
            triples |= {(role, action, resource) for action in actions for resource in resources}
    return triples


def _all_granted(expanded):
    return set().union(*(_granted(expanded, f"{function}Role") for function in FUNCTIONS))


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def a_function_may_do_exactly_what_the_manual_says(function, expanded, manual):
    role = f"{function}Role"
    documented = {triple for triple in _documented(manual) if triple[0] == role}
    granted = _granted(expanded, role)
    assert documented, f"the manual has no row for {function}"
    assert granted - documented == set(), "granted, but not in the manual"
    assert documented - granted == set(), "in the manual, but not granted"


def platform_certificates_add_what_the_manual_says_and_nothing_else(expanded, expanded_with_certificates, manual):
    without, having = _all_granted(expanded), _all_granted(expanded_with_certificates)
    added = _documented(manual, CERTIFICATES_HEADING)
    assert without < having and having - without == added
    # Who verifies must open, and the sweep alone writes what is opened; the webhook comes to sign nothing.
    writers = {role for role, action, resource in having if action != "dynamodb:GetItem" and resource == "Table KEYS#*"}
    assert writers == {"SweepFunctionRole"}
    assert not {role for role, _, resource in having if resource == "SigningSecret"} & {f"{name}Role" for name in NEVER_SIGN}
    for function in FUNCTIONS:
        the_environment_names_what_may_be_used_and_nothing_else(function, expanded_with_certificates)


def every_function_has_a_role_of_its_own(expanded):
    functions = {
        name: resource["Properties"]["Role"]["Fn::GetAtt"][0]
        for name, resource in expanded["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    assert functions == {function: f"{function}Role" for function in FUNCTIONS}


def there_are_no_other_roles_and_nobody_else_may_take_one(expanded):
    roles = {
        name: resource["Properties"]
        for name, resource in expanded["Resources"].items()
        if resource["Type"].startswith("AWS::IAM::")
    }
    assert set(roles) == {f"{function}Role" for function in FUNCTIONS} | OTHER_ROLES
    for function in FUNCTIONS:
        role = roles[f"{function}Role"]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}
        assert set(role["ManagedPolicyArns"]) == LOGS_AND_TRACES


@pytest.mark.parametrize("function, schedule", [("Sweep", "EveryMinute"), ("Reconcile", "UntilDone")])
def a_schedule_may_start_its_function_and_report_its_failures_only(function, schedule, expanded):
    role = f"{function}Function{schedule}Role"
    assert _granted(expanded, role) == {
        (role, "lambda:InvokeFunction", f"{function}FunctionAliaslive"),
        (role, "sqs:SendMessage", f"{function}Failures"),
    }


def the_bus_may_post_to_the_address_and_nothing_else(expanded):
    role = "EventsUrlRole"
    assert _granted(expanded, role) == {(role, "events:InvokeApiDestination", "EventsUrlDestination")}
    (trust,) = expanded["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}


def nothing_is_granted_beside_the_roles(expanded):
    resources = expanded["Resources"]
    assert {resource["Type"] for resource in resources.values()} == TYPES
    assert not [name for name, resource in resources.items() if "ResourcePolicy" in json.dumps(resource)]
    account = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    leave_it_to_the_roles = [{"Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*"}]
    for name, resource in resources.items():
        if resource["Type"] == "AWS::KMS::Key":
            assert resource["Properties"]["KeyPolicy"]["Statement"] == leave_it_to_the_roles, name


def a_queue_takes_messages_from_the_rules_that_name_it_and_from_nobody_else(expanded):
    resources = expanded["Resources"]
    allowed = set()
    for name, resource in resources.items():
        if resource["Type"] != "AWS::SQS::QueuePolicy":
            continue
        (queue,) = resource["Properties"]["Queues"]
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
            statement = dict(statement)
            rule, attribute = statement.pop("Condition")["ArnEquals"]["aws:SourceArn"]["Fn::GetAtt"]
            assert attribute == "Arn" and resources[rule]["Type"] == "AWS::Events::Rule", name
            assert statement == {
                "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": [queue["Ref"], "Arn"]},
            }, name
            allowed.add((rule, queue["Ref"]))
    named = set()
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Events::Rule":
            for target in resource["Properties"]["Targets"]:
                queues = [target["Arn"]] + [target[key]["Arn"] for key in ("DeadLetterConfig",) if key in target]
                queues = [value["Fn::GetAtt"][0] for value in queues]
                named |= {(name, queue) for queue in queues if resources[queue]["Type"] == "AWS::SQS::Queue"}
    assert allowed == named and named


def only_a_route_of_this_api_may_start_its_function(expanded):
    resources = expanded["Resources"]
    routes = set()
    for path, methods in resources["HttpApi"]["Properties"]["Body"]["paths"].items():
        for method, operation in methods.items():
            uri = json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
            alias = re.search(r"\$\{(\w+?Aliaslive)\}", uri).group(1)
            routes.add((alias, method.upper() + re.sub(r"\{\w+\}", "*", path)))
    allowed = set()
    for name, resource in resources.items():
        if resource["Type"] == "AWS::Lambda::Permission":
            properties = dict(resource["Properties"])
            source, names = properties.pop("SourceArn")["Fn::Sub"]
            assert names == {"__ApiId__": {"Ref": "HttpApi"}, "__Stage__": "*"}, name
            here = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${__ApiId__}/${__Stage__}/"
            assert source.startswith(here), name
            allowed.add((properties.pop("FunctionName")["Ref"], source.removeprefix(here)))
            assert properties == {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}, name
    assert allowed == routes and routes


def no_statement_has_a_wildcard(expanded):
    for role, action, resource in _all_granted(expanded):
        assert "*" not in role + action, (role, action)
        name, _, key = resource.partition(" ")
        # Reports have no names before they are there, and Lambda names the objects in which it keeps what it had to give up.
        name = name.removesuffix("/aws/lambda/*") if action == "s3:PutObject" else name
        assert "*" not in name.removeprefix(f"{BUCKET}/*") + key.removesuffix("#*"), (role, action, resource)


def every_access_to_the_table_is_bound_to_its_keys(expanded):
    assert not [triple for triple in _all_granted(expanded) if triple[2] == "Table"]


def nobody_but_the_operator_writes_articles_and_guards_are_written_by_those_who_send(expanded):
    """Refund takes a number, and burns that of a refund that is withdrawn; the sweep does where an earlier build began it."""
    writers = {}
    for role, action, resource in _all_granted(expanded):
        if action in ("dynamodb:PutItem", "dynamodb:UpdateItem"):
            writers.setdefault(resource, set()).add(role)
    assert "Table SKU#*" not in writers
    assert writers["Table REFUNDNO#*"] == {"RefundFunctionRole", "SweepFunctionRole"}
    assert writers["Table NOTICE#*"] == {"NotifyCallbackFunctionRole"}


def nothing_is_deleted_scanned_or_administered(expanded):
    allowed = {
        "dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query",
        "dynamodb:UpdateItem",
        "dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams",
        "events:PutEvents", "kms:Decrypt", "s3:GetObject", "s3:ListBucket", "s3:PutObject", "secretsmanager:GetSecretValue",
        "sqs:SendMessage",
    }
    assert {action for _, action, _ in _all_granted(expanded)} <= allowed


def what_faces_the_internet_or_holds_the_app_secret_never_reads_the_signing_secret(expanded):
    readers = {role for role, _, resource in _all_granted(expanded) if resource == "SigningSecret"}
    assert readers and not readers & {f"{function}Role" for function in NEVER_SIGN}
    assert not readers & {role for role, _, resource in _all_granted(expanded) if resource in ("AppSecret", "Apiv3Secret")}


def the_function_that_faces_the_internet_cannot_sign_and_alone_can_open(expanded):
    role = "NotifyCallbackFunctionRole"
    read = {resource for _, action, resource in _granted(expanded, role) if action == "secretsmanager:GetSecretValue"}
    assert read == {"WechatpaySecret", "Apiv3Secret"}
    assert {r for r, _, resource in _all_granted(expanded) if resource == "Apiv3Secret"} == {role}


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def the_environment_names_what_may_be_used_and_nothing_else(function, expanded):
    variables = expanded["Resources"][function]["Properties"]["Environment"]["Variables"]
    named = {value["Ref"] for key, value in variables.items() if isinstance(value, dict) and "Ref" in value}
    granted = {resource.split(" ")[0] for _, _, resource in _granted(expanded, f"{function}Role")}
    assert named & SECRETS == granted & SECRETS
    assert ("Table" in named) == ("Table" in granted) == ("TableKey" in granted)


def _single(statement):
    """The statement as several, each of which allows one thing."""
    for action in _list(statement["Action"]):
        for resource in _list(statement["Resource"]):
            one = {"Effect": "Allow", "Action": action, "Resource": resource}
            for key in _keys(statement):
                yield {**one, "Condition": _bound_to(key.strip())} if key else one


def _bound_to(pattern):
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [pattern]}}


def _without(expanded, triple):
    """A copy of the template that does not allow this one thing."""
    role, action, resource = triple
    changed = copy.deepcopy(expanded)
    for policy in changed["Resources"][role]["Properties"]["Policies"]:
        singles = [one for s in _list(policy["PolicyDocument"]["Statement"]) for one in _single(s)]
        policy["PolicyDocument"]["Statement"] = [
            one for one in singles
            if (one["Action"], _resource(one["Resource"]) + _keys(one)[0]) != (action, resource)
        ]
    return changed


def _attributes(expanded, role):
    """The attributes to which the role's updates of the table are bound, statement by statement."""
    policies = expanded["Resources"][role]["Properties"]["Policies"]
    statements = [one for policy in policies for one in _list(policy["PolicyDocument"]["Statement"])]
    updates = [one for one in statements if "dynamodb:UpdateItem" in _list(one["Action"])]
    return [one["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"] for one in updates]


def the_webhook_changes_only_the_attributes_that_the_manual_names(expanded, manual):
    (attributes,) = _attributes(expanded, "NotifyCallbackFunctionRole")
    named = manual.split("(`dynamodb:Attributes`):", 1)[1].split("\n\n")[1]
    assert attributes == re.findall(r"`(\w+)`", named)
    terms = {"total", "items", "openid", "refund", "mac", "notify_url", "created_at", "code_url", "prepay"}
    assert not terms & set(attributes)


def taking_out_any_one_permission_is_noticed(expanded, manual):
    documented = _documented(manual)
    assert len(documented) > 40
    for triple in documented:
        assert documented - _all_granted(_without(expanded, triple)) == {triple}


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def adding_any_one_permission_is_noticed(function, expanded, manual):
    role = f"{function}Role"
    documented = _documented(manual)
    candidates = [("dynamodb:DeleteItem", "Table"), ("dynamodb:Scan", "Table"), ("dynamodb:*", "Table")]
    candidates += [("secretsmanager:GetSecretValue", secret) for secret in sorted(SECRETS)]
    candidates += [("dynamodb:PutItem", "Table"), ("secretsmanager:PutSecretValue", "SigningSecret")]
    candidates += [("dynamodb:UpdateItem", f"Table {family}*") for family in FAMILIES]
    for action, resource in candidates:
        extra = (role, action, resource)
        if extra in documented:
            continue
        name, _, key = resource.partition(" ")
        statement = {"Effect": "Allow", "Action": action, "Resource": {"Ref": name}}
        if key:
            statement["Condition"] = _bound_to(key)
        added = copy.deepcopy(expanded)
        added["Resources"][role]["Properties"]["Policies"][-1]["PolicyDocument"]["Statement"].append(statement)
        assert _all_granted(added) - documented == {extra}
