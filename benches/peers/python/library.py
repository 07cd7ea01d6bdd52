"""`wechatpayv3` as it comes from PyPI, asked in batches (ours/src/main.rs says how).

The header is built by the function that its requests call, with the key that its client parses once.
"""

import sys
from os import environ
from pathlib import Path

from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.utils import build_authorization, load_private_key

private_key = Path(environ["PRIVATE_KEY_FILE"]).read_text()
wxpay = WeChatPay(
    wechatpay_type=WeChatPayType.JSAPI,
    mchid=environ["MCHID"],
    private_key=private_key,
    cert_serial_no=environ["SERIAL_NO"],
    appid="wx0000000000000000",
    apiv3_key=environ["APIV3_KEY"],
    public_key=Path(environ["PUBLIC_KEY_FILE"]).read_text(),
    public_key_id=environ["PUBLIC_KEY_ID"],
)
key = load_private_key(private_key)


def header(count, head, body):
    method, target = head.split(" ")
    for _ in range(count):
        last = build_authorization(
            target, method, environ["MCHID"], environ["SERIAL_NO"], key, body
        )
    return last


def notice(count, head, body):
    headers = dict(line.split(": ", 1) for line in head.splitlines())
    for _ in range(count):
        result = wxpay.callback(headers, body)
        if not result or result["event_type"] != "TRANSACTION.SUCCESS":
            raise ValueError("not a payment that was signed")
    return result["resource"]["out_trade_no"]


for line in sys.stdin:
    work, count, file = line.rstrip("\n").split(" ", 2)
    head, body = Path(file).read_text().split("\n\n", 1)
    try:
        print("ok", {"header": header, "notice": notice}[work](int(count), head, body), flush=True)
    except Exception as error:
        print("no", " ".join(str(error).split()), flush=True)
