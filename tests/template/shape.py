"""What else must hold of the template: routes, times, what survives a deletion, alarms, logs."""

import json
import re

import pytest

ROUTES = {
    "POST /sessions": "LoginFunction",
    "POST /orders": "CreateOrderFunction",
    "GET /orders": "QueryFunction",
    "GET /orders/{out_trade_no}": "QueryFunction",
    "POST /orders/{out_trade_no}/close": "CloseOrderFunction",
    "POST /orders/{out_trade_no}/refunds": "RefundFunction",
    "GET /orders/{out_trade_no}/refunds/{out_refund_no}": "RefundFunction",
    "POST /orders/{out_trade_no}/refunds/{out_refund_no}/approve": "RefundFunction",
    "POST /orders/{out_trade_no}/refunds/{out_refund_no}/reject": "RefundFunction",
    "POST /wechatpay/notify": "NotifyCallbackFunction",
}
# Seconds. A notice must be answered within WeChat Pay's 5; API Gateway gives up after 30.
TIMEOUTS = {
    "LoginFunction": 5,
    "CreateOrderFunction": 9,
    "NotifyCallbackFunction": 4,
    "QueryFunction": 5,
    "CloseOrderFunction": 9,
    "RefundFunction": 9,
    "SweepFunction": 60,
}
LOGGED = {
    "requestId", "requestTime", "identity.sourceIp", "httpMethod", "routeKey", "path", "status", "responseLength",
    "responseLatency", "integrationLatency", "integrationErrorMessage", "identity.userAgent",
}


def _of_type(expanded, kind):
    return {
        name: resource["Properties"] for name, resource in expanded["Resources"].items() if resource["Type"] == kind
    }


def the_routes_are_those_of_the_contract(expanded):
    paths = expanded["Resources"]["HttpApi"]["Properties"]["Body"]["paths"]
    routes = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            integration = operation["x-amazon-apigateway-integration"]
            assert integration["payloadFormatVersion"] == "2.0"
            uri = json.dumps(integration["uri"])
            routes[f"{method.upper()} {path}"] = re.search(r"\$\{(\w+?)Aliaslive\}", uri).group(1)
    assert routes == ROUTES


def a_throttle_is_set_on_routes_that_exist(expanded):
    (stage,) = _of_type(expanded, "AWS::ApiGatewayV2::Stage").values()
    assert set(stage["RouteSettings"]) <= set(ROUTES)
    assert {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(stage["DefaultRouteSettings"])


def the_access_log_never_has_a_query_string_or_a_credential(expanded):
    (stage,) = _of_type(expanded, "AWS::ApiGatewayV2::Stage").values()
    entry = stage["AccessLogSettings"]["Format"]
    assert set(re.findall(r"\$context\.([A-Za-z.]+)", entry)) == LOGGED
    assert json.loads(re.sub(r"\$context\.[A-Za-z.]+", "0", entry))["status"] == 0


def a_function_has_the_time_its_caller_gives_it(expanded):
    functions = _of_type(expanded, "AWS::Lambda::Function")
    assert {name: properties["Timeout"] for name, properties in functions.items()} == TIMEOUTS


def money_and_keys_survive_the_stack(expanded):
    kept = {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret"}
    found = 0
    for name, resource in expanded["Resources"].items():
        if resource["Type"] in kept:
            found += 1
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name
    assert found == 1 + 2 + 5
    (table,) = _of_type(expanded, "AWS::DynamoDB::Table").values()
    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": 35,
    }
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def no_secret_has_a_value_in_the_template(expanded):
    for name, properties in _of_type(expanded, "AWS::SecretsManager::Secret").items():
        assert set(properties) == {"Description", "KmsKeyId"}, name


@pytest.mark.parametrize("function", sorted(TIMEOUTS))
def a_changed_parameter_publishes_a_new_version(function, expanded):
    """Each parameter in a function's properties is named in its version's description.

    The transform names a version after the function's properties as written, so a new parameter
    value alone would leave the alias on the version with the old one.
    """
    parameters = expanded["Parameters"]
    properties = json.dumps({
        key: value
        for key, value in expanded["Resources"][function]["Properties"].items()
        if key not in ("LoggingConfig", "ReservedConcurrentExecutions")
    })
    used = {name for name in re.findall(r'"Ref": "(\w+)"', properties) if name in parameters}
    (version,) = [
        version
        for version in _of_type(expanded, "AWS::Lambda::Version").values()
        if version["FunctionName"] == {"Ref": function}
    ]
    assert set(re.findall(r"\$\{(\w+)\}", version["Description"]["Fn::Sub"])) == used
    written = re.sub(r"\$\{(\w+)\}", lambda m: str(parameters[m[1]].get("Default", "x" * 18)), version["Description"]["Fn::Sub"])
    assert len(written) + len("https://") + 60 <= 256, "CloudFormation refuses longer descriptions"


def nothing_has_the_same_name_in_two_stacks(expanded):
    for name, resource in expanded["Resources"].items():
        for key in ("Name", "FunctionName", "TableName", "QueueName", "AlarmName", "LogGroupName", "DashboardName"):
            value = resource.get("Properties", {}).get(key)
            assert not isinstance(value, str) or resource["Type"] == "AWS::Lambda::Alias" and value == "live", name


def every_alarm_has_a_runbook_and_every_runbook_an_alarm(expanded, manual):
    alarms = _of_type(expanded, "AWS::CloudWatch::Alarm")
    named = {}
    for name, properties in alarms.items():
        assert properties["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert properties["TreatMissingData"] == "notBreaching", name
        named[re.search(r"\((RB-\d+)\)\.$", properties["AlarmDescription"]).group(1)] = name
    assert len(named) == len(alarms)
    headings = dict(re.findall(r"^#### (RB-\d+) `(\w+)`", manual, flags=re.MULTILINE))
    assert headings == named


def an_alarm_watches_a_metric_that_something_counts(expanded):
    counted = {
        transformation["MetricName"]
        for properties in _of_type(expanded, "AWS::Logs::MetricFilter").values()
        for transformation in properties["MetricTransformations"]
    }
    watched = {
        properties["MetricName"]
        for properties in _of_type(expanded, "AWS::CloudWatch::Alarm").values()
        if isinstance(properties.get("Namespace"), dict)
    }
    assert counted - watched == {"order_paid"}
    assert watched <= counted


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def a_crash_or_a_throttle_of_any_function_is_counted(metric, expanded):
    (alarm,) = [
        properties
        for properties in _of_type(expanded, "AWS::CloudWatch::Alarm").values()
        if any(m.get("Label") == metric for m in properties.get("Metrics", []))
    ]
    watched = {
        row["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Ref"]
        for row in alarm["Metrics"]
        if "MetricStat" in row and row["MetricStat"]["Metric"]["MetricName"] == metric
    }
    assert watched == set(TIMEOUTS)


def new_code_takes_over_slowly_and_alarms_stop_it(expanded):
    groups = _of_type(expanded, "AWS::CodeDeploy::DeploymentGroup")
    assert len(groups) == len(TIMEOUTS)
    for group in groups.values():
        assert {"Name": {"Ref": "MoneyMismatchAlarm"}} in group["AlarmConfiguration"]["Alarms"]
        assert group["AutoRollbackConfiguration"]["Enabled"] is True
        assert "Canary10Percent5Minutes" in json.dumps(group["DeploymentConfigName"])


def the_dashboard_is_json(expanded):
    (dashboard,) = _of_type(expanded, "AWS::CloudWatch::Dashboard").values()
    body = json.loads(re.sub(r"\$\{[\w:.]+\}", "x", dashboard["DashboardBody"]["Fn::Sub"]))
    assert len(body["widgets"]) == 8
