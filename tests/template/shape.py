"""What else must hold of the template: routes, times, what survives a deletion, alarms, logs."""

import json
import re

import pytest
from conftest import FUNCTIONS, ROOT

# The routes of the contract, each with its function: the table of docs/api.md.
ROUTES = {
    route: binary
    for route, binary in re.findall(
        r"^\| `([A-Z]+ /[^`]*)` \|[^|]*\| ([a-z-]+) \|$", (ROOT / "docs/api.md").read_text(), flags=re.MULTILINE
    )
}
# Seconds. WeChat Pay waits 5 for an answer to a notification, API Gateway gives up after 30.
NOTIFY_TIMEOUT, HTTP_TIMEOUT_MAX = 4, 29
# The namespace of what is counted from log lines.
OURS = {"Fn::Sub": "WxPay/${AWS::StackName}"}
# What AWS writes. Not a path, a User-Agent, a method, a host, an error about them: API Gateway escapes none of it.
LOGGED = {
    "requestId", "requestTime", "identity.sourceIp", "routeKey", "status", "responseLength",
    "responseLatency", "integrationLatency", "integrationStatus", "integrationErrorMessage",
}


def _of_type(expanded, kind):
    return {
        name: resource.get("Properties", {})
        for name, resource in expanded["Resources"].items()
        if resource["Type"] == kind
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
    assert len(routes) >= 10
    assert {route: FUNCTIONS[function] for route, function in routes.items()} == ROUTES


def a_throttle_is_set_on_routes_that_exist(expanded):
    (stage,) = _of_type(expanded, "AWS::ApiGatewayV2::Stage").values()
    assert set(stage["RouteSettings"]) <= set(ROUTES)
    assert {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(stage["DefaultRouteSettings"])


def strangers_cannot_crowd_out_notifications_and_a_shop_is_not_billed_for_a_flood(expanded):
    (stage,) = _of_type(expanded, "AWS::ApiGatewayV2::Stage").values()
    default = expanded["Parameters"]["RequestsPerSecond"]["Default"]
    assert default <= 50
    own = {route: settings["ThrottlingRateLimit"] for route, settings in stage["RouteSettings"].items()}
    assert own.pop("POST /wechatpay/notify") >= 10 * default
    assert own and all(limit < default for limit in own.values()), "what costs a call to WeChat is scarcer"


def a_deployment_is_stopped_only_by_what_no_caller_can_set_off(expanded):
    """AWS's own counts of the functions, or what signed reports contradict; never what a log quotes of a caller."""
    alarms = _of_type(expanded, "AWS::CloudWatch::Alarm")
    for group in _of_type(expanded, "AWS::CodeDeploy::DeploymentGroup").values():
        named = {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]}
        assert named == {"FunctionErrorsAlarm", "MoneyMismatchAlarm", "NotifySlowAlarm"}
    for name in ("FunctionErrorsAlarm", "NotifySlowAlarm"):
        assert {metric["Namespace"] for metric in _metrics(alarms[name])} == {"AWS/Lambda"}
    assert not any(
        properties["LogGroupName"] == {"Ref": "AccessLogs"}
        for properties in _of_type(expanded, "AWS::Logs::MetricFilter").values()
    ), "an alarm reads the access log"


def a_budget_tells_of_the_bill_where_somebody_is_named(expanded):
    (name,) = [name for name, r in expanded["Resources"].items() if r["Type"] == "AWS::Budgets::Budget"]
    assert expanded["Resources"][name]["Condition"] == "HasBudgetEmail"
    properties = expanded["Resources"][name]["Properties"]
    assert properties["Budget"]["BudgetLimit"] == {"Amount": {"Ref": "BudgetUsd"}, "Unit": "USD"}
    for entry in properties["NotificationsWithSubscribers"]:
        assert entry["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": {"Ref": "BudgetEmail"}}]


def the_access_log_holds_nothing_that_a_caller_writes(expanded):
    (stage,) = _of_type(expanded, "AWS::ApiGatewayV2::Stage").values()
    entry = stage["AccessLogSettings"]["Format"]
    assert set(re.findall(r"\$context\.([A-Za-z.]+)", entry)) == LOGGED
    assert json.loads(re.sub(r"\$context\.[A-Za-z.]+", "0", entry))["status"] == 0


def a_function_has_the_time_its_caller_gives_it(expanded):
    timeouts = {name: entry["Timeout"] for name, entry in _of_type(expanded, "AWS::Lambda::Function").items()}
    assert set(timeouts) == set(FUNCTIONS)
    assert timeouts["NotifyCallbackFunction"] == NOTIFY_TIMEOUT
    for name, seconds in timeouts.items():
        # A schedule's function ends before its next run starts: half an hour later, else a minute.
        between = {"ReconcileFunction": 30 * 60}.get(name, 60)
        assert seconds <= (HTTP_TIMEOUT_MAX if FUNCTIONS[name] in ROUTES.values() else between), name


def money_and_keys_survive_the_stack(expanded):
    """The empty secrets of a stack that never came to be go; the table is protected and stays with its key."""
    kept = {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"}
    policies = {}
    for name, resource in expanded["Resources"].items():
        if resource["Type"] in kept:
            policies[name] = resource["DeletionPolicy"]
            assert resource["UpdateReplacePolicy"] == "Retain", name
    secrets = ["SigningSecret", "WechatpaySecret", "Apiv3Secret", "AppSecret", "ApiSecret", "SecretsKey", "ReportsBucket", "FailedRecords"]
    assert policies == {**dict.fromkeys(secrets, "RetainExceptOnCreate"), "Table": "Retain", "TableKey": "Retain"}
    (table,) = _of_type(expanded, "AWS::DynamoDB::Table").values()
    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": 35,
    }
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def a_version_that_a_new_parameter_replaces_can_be_gone_back_to(expanded):
    """Its description is replaced with it, and CloudFormation deletes what it replaces unless it is told otherwise."""
    versions = [resource for resource in expanded["Resources"].values() if resource["Type"] == "AWS::Lambda::Version"]
    assert len(versions) == len(FUNCTIONS)
    for version in versions:
        assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == ("Retain", "Retain")


def an_import_leaves_out_what_a_restored_table_lacks(expanded, manual):
    """What the manual deletes from the table before an import; a later deployment switches it on."""
    (table,) = _of_type(expanded, "AWS::DynamoDB::Table").values()
    import_as_it_is = re.search(r"jq '\.Resources\.RestoredTable = .*?'", manual, flags=re.DOTALL).group()
    left_out = set(re.findall(r"\.Properties\.(\w+)[,)]", import_as_it_is))
    # What a restore brings along, the key by its own option.
    restored = {"AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema", "SSESpecification"}
    assert set(table) == left_out | restored and not left_out & restored


def reports_are_encrypted_kept_in_all_versions_and_nobody_elses(expanded):
    bucket = _of_type(expanded, "AWS::S3::Bucket")["ReportsBucket"]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4 and all(bucket["PublicAccessBlockConfiguration"].values())
    (kept,) = bucket["LifecycleConfiguration"]["Rules"]
    days = {"Ref": "ReportRetentionDays"}
    assert (kept["ExpirationInDays"], kept["NoncurrentVersionExpiration"]["NoncurrentDays"]) == (days, days)


def no_secret_has_a_value_in_the_template(expanded):
    for name, properties in _of_type(expanded, "AWS::SecretsManager::Secret").items():
        assert set(properties) == {"Description", "KmsKeyId"}, name


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
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


def _runbooks(manual):
    """The runbooks of the manual by number: the alarm, its severity, the query, and what can be done."""
    for part in re.split(r"^(?=#### RB-)", manual, flags=re.MULTILINE)[1:]:
        part = re.split(r"^#{2,3} ", part, flags=re.MULTILINE)[0]
        heading, number, alarm = re.match(r"#### ((RB-\d+) `(\w+)`)\n", part).groups()
        severity, notice, over = re.search(
            r"^\*\*(Page|Next morning)\.\*\* \*The customer notices:\* (.+) \*Over when:\* (.+)$", part, flags=re.MULTILINE
        ).groups()
        query = re.search(r"^```text\n(.*?)\n```$", part, flags=re.MULTILINE | re.DOTALL).group(1)
        rows = re.findall(r"^\| (.+) \| (.+) \|$", part, flags=re.MULTILINE)
        anchor = re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        yield number, alarm, severity, notice, over, query, rows, anchor


TOPICS = {"Page": "AlarmTopic", "Next morning": "MorningTopic"}


def every_alarm_has_a_runbook_and_every_runbook_an_alarm(expanded, manual):
    alarms = _of_type(expanded, "AWS::CloudWatch::Alarm")
    named = {}
    for number, alarm, severity, notice, over, _, rows, anchor in _runbooks(manual):
        properties = alarms[alarm]
        topic = [{"Ref": TOPICS[severity]}]
        assert (properties["AlarmActions"], properties["OKActions"]) == (topic, topic), alarm
        # Where nothing is counted, nothing is wrong; only the sweep is called each minute whatever happens.
        missing = "breaching" if alarm == "SweepSilentAlarm" else "notBreaching"
        assert properties["TreatMissingData"] == missing, alarm
        assert properties["AlarmDescription"].endswith(f" ({number}, docs/operations.md#{anchor})."), alarm
        assert notice.endswith(".") and over.endswith("."), alarm
        assert len(rows) >= 2, f"{number}: a table of what to do has a head and a row"
        named[number] = alarm
    assert sorted(named.values()) == sorted(alarms)
    subscribed = {entry["TopicArn"]["Ref"] for entry in _of_type(expanded, "AWS::SNS::Subscription").values()}
    assert subscribed == set(TOPICS.values()) == set(_of_type(expanded, "AWS::SNS::Topic"))


def the_query_of_a_runbook_is_saved(expanded, manual):
    saved = {
        entry["Name"]["Fn::Sub"]: (entry["QueryString"], entry["LogGroupNames"])
        for entry in _of_type(expanded, "AWS::Logs::QueryDefinition").values()
    }
    printed = {}
    for number, alarm, *_, query, _, _ in _runbooks(manual):
        name = f"RB-{int(number.removeprefix('RB-')):02} {alarm.removesuffix('Alarm')}"
        printed["${AWS::StackName}/" + name] = (query, [{"Ref": "FunctionLogs"}])
    assert saved == printed


# The commands of a query; what else is in one are functions, names of what is counted, and fields of log lines.
QUERY = {"and", "as", "asc", "bin", "by", "count", "desc", "fields", "filter", "in", "ispresent", "limit", "or", "pct", "sort", "stats", "sum"}


def a_query_asks_for_fields_that_functions_write(root, manual):
    """A field under another name would show nothing, and nothing is what a healthy stack shows."""
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("functions", "shared/src")
        for path in sorted((root / folder).rglob("*.rs"))
    )
    asked = set()
    for number, *_, query, _, _ in _runbooks(manual):
        made = set(re.findall(r"\bas (\w+)", query))
        unquoted = re.sub(r'"[^"]*"|@\w+|\d+[mh]', "", query)
        for name in set(re.findall(r"[a-z][\w.]*", unquoted)) - QUERY - made:
            # What Lambda itself writes.
            assert name in {"type", "record.status"} or f'"{name}"' in sources, f"{number}: {name}"
            asked.add(name)
        for text in re.findall(r'"([^"]*)"', query):
            assert text in {"platform.runtimeDone"} or f'"{text}"' in sources, f"{number}: {text}"
    assert len(asked) > 25


def _filters(expanded):
    """What is counted from log lines: metric, log group, pattern, value."""
    counted = {}
    for properties in _of_type(expanded, "AWS::Logs::MetricFilter").values():
        transformation = dict(*properties["MetricTransformations"])
        # Of notices, none is news too: without a zero the first stack that gets none would have no metric.
        assert transformation.pop("DefaultValue", None) == (0 if transformation["MetricName"] == "notices" else None)
        assert set(transformation) == {"MetricNamespace", "MetricName", "MetricValue"}
        assert transformation["MetricNamespace"] == OURS
        assert transformation["MetricName"] not in counted
        counted[transformation["MetricName"]] = (
            properties["LogGroupName"]["Ref"], properties["FilterPattern"], transformation["MetricValue"]
        )
    return counted


def a_filter_counts_the_number_of_its_name(expanded):
    """That functions write these names is shown by tests/it/runbooks.rs."""
    counted = _filters(expanded)
    notices = '{ $.function = "notify-callback" && ($.settled = "changed" || $.settled = "unchanged") }'
    assert counted.pop("notices") == ("FunctionLogs", notices, "1")
    assert len(counted) == 18
    for name, found in counted.items():
        assert found == ("FunctionLogs", f"{{ $.{name} > 0 }}", f"$.{name}")


def _metrics(alarm):
    """The metrics that an alarm looks at."""
    if "Metrics" in alarm:
        return [row["MetricStat"]["Metric"] for row in alarm["Metrics"] if "MetricStat" in row]
    return [alarm]


# What a metric of AWS's is about: its dimension, and how the resource is named there.
ABOUT = {
    "AWS/Lambda": ("FunctionName", {"Errors", "Throttles", "Duration", "IteratorAge", "Invocations"}, "AWS::Lambda::Function", "Ref"),
    "AWS/DynamoDB": ("TableName", {"ReadThrottleEvents", "WriteThrottleEvents"}, "AWS::DynamoDB::Table", "Ref"),
    "AWS/ApiGateway": ("ApiId", {"5xx"}, "AWS::ApiGatewayV2::Api", "Ref"),
    "AWS/SQS": ("QueueName", {"ApproximateNumberOfMessagesVisible"}, "AWS::SQS::Queue", "QueueName"),
}


def an_alarm_watches_a_metric_that_something_counts(expanded):
    watched = set()
    for name, alarm in _of_type(expanded, "AWS::CloudWatch::Alarm").items():
        for metric in _metrics(alarm):
            if metric["Namespace"] == OURS:
                assert "Dimensions" not in metric, f"{name}: a filter gives its metric none"
                watched.add(metric["MetricName"])
                continue
            dimension, known, kind, how = ABOUT[metric["Namespace"]]
            if metric["MetricName"] == "OnFailureDestinationDeliveredEventCount":
                dimension, known, kind = "EventSourceMappingUUID", {metric["MetricName"]}, "AWS::Lambda::EventSourceMapping"
            assert metric["MetricName"] in known, name
            about, *index = metric["Dimensions"]
            assert about["Name"] == dimension, name
            assert [part["Name"] for part in index] in ([], ["GlobalSecondaryIndexName"]), name
            resource, attribute = about["Value"].get("Fn::GetAtt", (about["Value"].get("Ref"), "Ref"))
            assert (expanded["Resources"][resource]["Type"], attribute) == (kind, how), name
    assert watched == set(_filters(expanded))


def the_alarm_of_one_resource_is_about_that_one(expanded):
    alarms = _of_type(expanded, "AWS::CloudWatch::Alarm")
    named = {name: alarm["Dimensions"][0]["Value"] for name, alarm in alarms.items() if "Dimensions" in alarm}
    assert named == {
        "NotifySlowAlarm": {"Ref": "NotifyCallbackFunction"},
        "ServerErrorsAlarm": {"Ref": "HttpApi"},
        "ReconcileFailuresAlarm": {"Fn::GetAtt": ["ReconcileFailures", "QueueName"]},
        "SweepFailuresAlarm": {"Fn::GetAtt": ["SweepFailures", "QueueName"]},
        "SweepSilentAlarm": {"Ref": "SweepFunction"},
        "EventsDelayedAlarm": {"Ref": "PublishEventsFunction"},
        "EventsUnreadableAlarm": {"Fn::GetAtt": ["UnreadableRecords", "QueueName"]},
        "EventsGivenUpAlarm": {"Ref": "TableStream"},
        "EventsUrlFailuresAlarm": {"Fn::GetAtt": ["EventsUrlFailures", "QueueName"]},
        "BackOfficeFailuresAlarm": {"Fn::GetAtt": ["BackOfficeFailures", "QueueName"]},
    }


def an_expression_is_of_metrics_that_stand_beside_it(expanded):
    for name, alarm in _of_type(expanded, "AWS::CloudWatch::Alarm").items():
        rows = alarm.get("Metrics", [])
        ids = {row["Id"] for row in rows if "MetricStat" in row}
        for row in rows:
            if "Expression" in row and row["Expression"] != "SUM(METRICS())":
                assert set(re.findall(r"\b[a-z]\w*", row["Expression"])) == ids, name
        assert len({row["MetricStat"]["Period"] for row in rows if "MetricStat" in row}) == bool(rows), name
        assert len([row for row in rows if row.get("ReturnData", True)]) == bool(rows), name


def an_alarm_looks_at_no_more_metrics_than_cloudwatch_allows(expanded):
    for name, alarm in _of_type(expanded, "AWS::CloudWatch::Alarm").items():
        assert len(_metrics(alarm)) <= 10, name


def the_tables_throttling_is_counted_with_that_of_each_index(expanded):
    (table,) = _of_type(expanded, "AWS::DynamoDB::Table").values()
    indexes = {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} | {None}
    watched = {
        (metric["MetricName"], *([part["Value"] for part in metric["Dimensions"][1:]] or [None]))
        for metric in _metrics(_of_type(expanded, "AWS::CloudWatch::Alarm")["TableThrottledAlarm"])
    }
    assert watched == {(f"{kind}ThrottleEvents", index) for kind in ("Read", "Write") for index in indexes}


def silence_is_three_payments_and_no_notice_within_an_hour(expanded):
    alarm = _of_type(expanded, "AWS::CloudWatch::Alarm")["NotifySilenceAlarm"]
    expression, *metrics = alarm["Metrics"]
    assert expression["Expression"] == "IF(paid >= 3 AND FILL(notices, 0) < 1, 1, 0)"
    assert {row["Id"]: row["MetricStat"]["Metric"]["MetricName"] for row in metrics} == {
        "paid": "order_paid",
        "notices": "notices",
    }
    assert {(row["MetricStat"]["Stat"], row["MetricStat"]["Period"]) for row in metrics} == {("Sum", 3600)}
    assert (alarm["EvaluationPeriods"], alarm["Threshold"], alarm["TreatMissingData"]) == (1, 1, "notBreaching")


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
    assert watched == set(FUNCTIONS)


def new_code_takes_over_slowly_and_alarms_stop_it(expanded):
    groups = _of_type(expanded, "AWS::CodeDeploy::DeploymentGroup")
    assert len(groups) == len(FUNCTIONS)
    for group in groups.values():
        assert {"Name": {"Ref": "MoneyMismatchAlarm"}} in group["AlarmConfiguration"]["Alarms"]
        assert group["AutoRollbackConfiguration"]["Enabled"] is True
        assert "Canary10Percent5Minutes" in json.dumps(group["DeploymentConfigName"])


def the_dashboard_is_json(expanded):
    (dashboard,) = _of_type(expanded, "AWS::CloudWatch::Dashboard").values()
    body = json.loads(re.sub(r"\$\{[\w:.]+\}", "x", dashboard["DashboardBody"]["Fn::Sub"]))
    assert len(body["widgets"]) == 9
    shown = set()
    for widget in body["widgets"]:
        namespace = None
        for metric in widget["properties"].get("metrics", []):
            namespace = namespace if metric[0] == "." else metric[0]
            if namespace == "WxPay/x":
                shown.add(metric[1])
    assert shown and shown <= set(_filters(expanded))


# Values of parameters that CloudFormation takes, and others that it refuses before it makes anything.
VALUES = {
    "Mchid": (["1900000001"], ["", "190000000a", "1"]),
    "Appid": (["wx0123456789abcdef"], ["", "0123456789abcdef"]),
    "SubMchid": (["", "1900000110"], ["190000011a", "1"]),
    **dict.fromkeys(
        ["AppidNative", "AppidH5", "AppidApp", "SubAppid"],
        (["", "wx0123456789abcdef"], ["0123456789abcdef", "wx0123456789ABCDEF"]),
    ),
    "PublicBaseUrl": (["", "https://pay.example.com"], ["http://pay.example.com", "https://pay.example.com/"]),
    "WechatpayBaseUrl": (["http://127.0.0.1:8083", "https://api.mch.weixin.qq.com"], ["", "api.mch.weixin.qq.com"]),
    "WechatpayBackupUrl": (["https://api2.mch.weixin.qq.com"], ["", "https://api2.mch.weixin.qq.com/v3"]),
    "WechatApiBaseUrl": (["https://api.weixin.qq.com"], ["", "https://api.weixin.qq.com/ "]),
    "WechatpayTrustedHosts": (["", "sim.example.com:8083,10.0.0.1"], ["https://sim.example.com", "a,"]),
    "DomainName": (["", "pay.example.com"], ["https://pay.example.com", "pay.example.com/", "pay"]),
    "CertificateArn": (
        ["", "arn:aws-cn:acm:cn-north-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"],
        ["pay.example.com", "arn:aws:iam::123456789012:server-certificate/pay"],
    ),
    "EventsUrl": (["", "https://shop.example.com/events"], ["http://shop.example.com/events", "shop.example.com"]),
    "EventsUrlSecretArn": (
        ["", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:events-AbCdEf"], ["events", "arn:aws:s3:::events"],
    ),
    "BudgetEmail": (["", "ops@example.com"], ["ops", "a@example.com b@example.com"]),
    "AlarmEmail": (["", "ops@example.com"], ["ops", "ops@example", "a@example.com b@example.com"]),
    "OrderNumberPrefix": (["", "stg_-9"], ["seven77", "a*"]),
}


def a_value_that_would_fail_later_is_refused_at_once(expanded):
    parameters = expanded["Parameters"]
    patterns = {name: entry["AllowedPattern"] for name, entry in parameters.items() if "AllowedPattern" in entry}
    assert set(patterns) == set(VALUES)
    for name, (taken, refused) in VALUES.items():
        assert re.fullmatch(patterns[name], parameters[name].get("Default", taken[0])), name
        assert all(re.fullmatch(patterns[name], value) for value in taken), name
        assert not any(re.fullmatch(patterns[name], value) for value in refused), name
    for name, entry in parameters.items():
        if entry["Type"] == "Number":
            assert "MinValue" in entry or "AllowedValues" in entry, name
    # A throttle of none would close the API.
    assert parameters["RequestsPerSecond"]["MinValue"] == parameters["RequestBurst"]["MinValue"] == 1


def a_domain_without_a_certificate_is_refused_at_once(expanded):
    rule = expanded["Rules"]["DomainNeedsCertificate"]
    given = {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]}
    assert rule["RuleCondition"] == given
    assert [entry["Assert"] for entry in rule["Assertions"]] == [
        {"Fn::Not": [{"Fn::Equals": [{"Ref": "CertificateArn"}, ""]}]}
    ]


def a_sub_merchants_app_without_its_number_is_refused_at_once(expanded):
    rule = expanded["Rules"]["SubAppidNeedsSubMchid"]
    given = {"Fn::Not": [{"Fn::Equals": [{"Ref": "SubAppid"}, ""]}]}
    assert rule["RuleCondition"] == given
    assert [entry["Assert"] for entry in rule["Assertions"]] == [
        {"Fn::Not": [{"Fn::Equals": [{"Ref": "SubMchid"}, ""]}]}
    ]


def nobody_freezes_money_without_having_read_that_it_does(expanded):
    parameter = expanded["Parameters"]["ProfitSharing"]
    assert parameter["Default"] == "off"
    assert "FREEZES" in parameter["Description"]


def an_address_without_a_key_is_refused_at_once(expanded):
    rule = expanded["Rules"]["EventsUrlNeedsKey"]
    given = {"Fn::Not": [{"Fn::Equals": [{"Ref": "EventsUrl"}, ""]}]}
    assert rule["RuleCondition"] == given
    assert [entry["Assert"] for entry in rule["Assertions"]] == [
        {"Fn::Not": [{"Fn::Equals": [{"Ref": "EventsUrlSecretArn"}, ""]}]}
    ]


def each_way_out_of_the_bus_takes_all_events_tries_for_a_day_and_keeps_what_failed(expanded):
    rules = _of_type(expanded, "AWS::Events::Rule")
    for name, condition in (("EventsUrlRule", "HasEventsUrl"), ("BackOfficeRule", "HasEventsQueue")):
        assert expanded["Resources"][name]["Condition"] == condition
        assert rules[name]["EventPattern"] == {"source": ["wxpay"]}
        (target,) = rules[name]["Targets"]
        assert "DeadLetterConfig" in target and "Input" not in json.dumps(target)
        assert target.get("RetryPolicy", {}) in (
            {}, {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}
        ), "nothing, which is the same, or what it is by default"
    assert rules["UnreadableRecordsRule"]["EventPattern"] == {"source": ["wxpay.unreadable"]}
