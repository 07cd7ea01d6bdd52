"""A create-order like this project's in Python: boto3 and `wechatpayv3`.

It does the same work for the same event towards the same servers (benches/floor says which). The
Runtime API is a few lines here instead of AWS's own client of it, which only spares work.
"""

import hashlib
import hmac
import http.client
import json
import secrets
import time
import uuid
from datetime import datetime, timedelta, timezone
from os import environ

import boto3
from wechatpayv3 import WeChatPay, WeChatPayType

table = boto3.client("dynamodb")
secrets_manager = boto3.client("secretsmanager")


def read(variable):
    value = secrets_manager.get_secret_value(SecretId=environ[variable])
    return json.loads(value["SecretString"])


signing = read("SIGNING_SECRET_ARN")
wechatpay = read("WECHATPAY_SECRET_ARN")
api = read("API_SECRET_ARN")
wxpay = WeChatPay(
    wechatpay_type=WeChatPayType.JSAPI,
    mchid=environ["MCHID"],
    private_key=signing["private_key"],
    cert_serial_no=signing["serial_no"],
    appid=environ["APPID"],
    # No answer here is sealed.
    apiv3_key="",
    notify_url=environ["PUBLIC_BASE_URL"] + "/wechatpay/notify",
    public_key=wechatpay["public_key"],
    public_key_id=wechatpay["public_key_id"],
)
# The library names WeChat Pay's host in its code.
wxpay._core._gate_way = environ["WECHATPAY_BASE_URL"]


def create_order(event):
    credential = event["headers"]["authorization"].removeprefix("Bearer ")
    digest = hashlib.sha256(credential.encode()).hexdigest()
    if not any(hmac.compare_digest(known, digest) for known in api["merchant_key_hashes"]):
        raise PermissionError("an unknown credential")
    order = json.loads(event["body"])
    number, total = order["out_trade_no"], order["amount"]["total"]
    if order["trade_type"] != "jsapi" or len(number) > 32 or total < 1:
        raise ValueError("not an order of the kind that is measured")
    now = int(time.time())
    expires = now + 30 * 60
    put(order, now, expires)

    beijing = datetime.fromtimestamp(expires, timezone(timedelta(hours=8))).isoformat()
    status, message = wxpay.pay(
        description=order["description"],
        out_trade_no=number,
        amount={"total": total, "currency": "CNY"},
        payer={"openid": order["payer"]["openid"]},
        time_expire=beijing,
    )
    if status != 200:
        raise RuntimeError(message)

    stamp, nonce = str(int(time.time())), uuid.uuid4().hex
    package = "prepay_id=" + json.loads(message)["prepay_id"]
    pay = {
        "timeStamp": stamp,
        "nonceStr": nonce,
        "package": package,
        "signType": "RSA",
        "paySign": wxpay.sign([environ["APPID"], stamp, nonce, package]),
    }
    print(json.dumps({"level": "INFO", "order.out_trade_no": number, "status": 201}), flush=True)
    body = {
        "amount": {"currency": "CNY", "total": total},
        "out_trade_no": number,
        "pay": pay,
        "time_expire": beijing,
        "trade_state": "NOTPAY",
        "trade_type": "jsapi",
    }
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": 201, "headers": headers, "body": json.dumps(body)}


def put(order, now, expires):
    number = order["out_trade_no"]
    texts = {
        "pk": "ORDER#" + number,
        "sk": "ORDER",
        "attempt": secrets.token_hex(16),
        "out_trade_no": number,
        "trade_type": order["trade_type"],
        "appid": environ["APPID"],
        "mchid": environ["MCHID"],
        "description": order["description"],
        "notify_url": environ["PUBLIC_BASE_URL"] + "/wechatpay/notify",
        "openid": order["payer"]["openid"],
        "placed_by": "merchant",
        "trade_state": "NOTPAY",
        "due_shard": str(hashlib.sha256(number.encode()).digest()[0] % 10),
    }
    numbers = {
        "wire_version": 1,
        "total": order["amount"]["total"],
        "time_expire": expires,
        "created_at": now,
        "version": 1,
        "due_at": now + 60,
    }
    item = {name: {"S": value} for name, value in texts.items()}
    item |= {name: {"N": str(value)} for name, value in numbers.items()}
    table.put_item(
        TableName=environ["TABLE_NAME"],
        Item=item,
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )


runtime = http.client.HTTPConnection(environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    runtime.request("GET", "/2018-06-01/runtime/invocation/next")
    invocation = runtime.getresponse()
    event = json.loads(invocation.read())
    answer = json.dumps(create_order(event))
    request_id = invocation.headers["lambda-runtime-aws-request-id"]
    runtime.request("POST", f"/2018-06-01/runtime/invocation/{request_id}/response", answer)
    runtime.getresponse().read()
